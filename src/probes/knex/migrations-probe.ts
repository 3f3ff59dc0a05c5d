import { multiInject } from 'inversify';
import type { Knex } from 'knex';
import { ReadinessProbe } from '../../discovery/decorators.js';
import { describeError } from '../../errors.js';
import { ChecksOutside, noteOutside } from '../../run/outside.js';
import type { Probe, ProbeContext } from '../../probe.js';
import { rejectUnknownOptions } from '../../validation.js';
import { checkEach, DATABASE, validateDatabases, validateKnex } from './database.js';
import type { KnexClient } from './client.js';
import { describeServer } from './failure.js';
import { queryKnex } from './query.js';
import { SingleFlight } from '../shared/single-flight.js';
import { untilAborted } from '../shared/until-aborted.js';

export { DATABASE };

/** Readiness: no migration of any Knex that is bound to `DATABASE` is pending, with the migration settings of each. Creates nothing. */
@ChecksOutside('a database')
@ReadinessProbe({ name: 'migrations' })
export class MigrationsProbe implements Probe {
  readonly #databases: readonly Knex[];

  constructor(@multiInject(DATABASE, { chained: true }) databases: readonly Knex[]) {
    validateDatabases('MigrationsProbe', databases);
    this.#databases = databases;
  }

  check(context: ProbeContext): Promise<void> {
    return checkEach(this.#databases, context, (database) => checkMigrations(database, context));
  }
}

/** Where the migrations are, for those who give this to `knex.migrate.latest()` and not to `knex()`. What is left out is as the Knex has it. */
export type CheckMigrationsOptions = {
  [Option in 'directory' | 'loadExtensions' | 'migrationSource' | 'schemaName' | 'tableName']?: Knex.MigratorConfig[Option] | undefined;
};

const OPTION_NAMES: readonly string[] = ['directory', 'loadExtensions', 'migrationSource', 'schemaName', 'tableName'];

/**
 * Resolves when every migration of this release has been applied to the database, compared by name. A database that is ahead of this release passes:
 * pods of the release before still run on it during a rollout. Reads the table of migrations and creates nothing, so a role that may only read is enough.
 *
 * Rejects with an `Error` whose message says what is wrong: which migrations are pending, that there is no table yet, that the folder cannot be read or holds none,
 * or, as `checkKnex` does, what the matter is with the database. Ends when the signal is aborted, in the way that `checkKnex` ends.
 *
 * @throws the signal's reason where that is aborted before the call; ConfigurationError where `knex` is none or an option is unknown.
 */
export async function checkMigrations(
  knex: Knex,
  context: Pick<ProbeContext, 'signal'>,
  options: CheckMigrationsOptions = {},
): Promise<void> {
  noteOutside(context, 'a database');
  const { signal } = context;
  validateKnex(knex);
  rejectUnknownOptions('checkMigrations()', options, OPTION_NAMES);
  signal.throwIfAborted();
  const server = describeServer(knex.client as KnexClient);
  const migrator = makeMigrator(knex, options);
  const shipped = await listShipped(migrator, signal, server);
  const applied = await listApplied(knex, migrator, signal);
  if (applied === undefined) {
    throw new Error(
      `${server}: no migration has been applied: there is no table ${tableOf(migrator)}, and ${String(shipped.length)} are pending. Run knex migrate:latest.`,
    );
  }
  const pending = shipped.filter((name) => !applied.has(name));
  if (pending.length === 0) return;
  throw new Error(
    `${server}: ${String(pending.length)} of ${String(shipped.length)} migrations are pending: ${listNames(pending)}. Run knex migrate:latest.`,
  );
}

/** What is used of Knex's own `Migrator`: its settings, every default filled in, and a Knex whose hooks for identifiers and results can be switched off. */
interface Migrator {
  readonly config: {
    readonly loadExtensions: readonly string[];
    readonly migrationSource: Knex.MigrationSource<unknown> & { readonly migrationsPaths?: unknown };
    readonly schemaName: string | null;
    readonly tableName: string;
  };
  readonly knex: Knex & { disableProcessing(): void };
}

function makeMigrator(knex: Knex, options: CheckMigrationsOptions): Migrator {
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const own = Object.keys(given).length === 0 ? knex : withMigrations(knex, given);
  const migrator = own.migrate as unknown as Migrator;
  // Knex keeps its table under the plain name, whatever the application's hooks make of names.
  migrator.knex.disableProcessing();
  return migrator;
}

/** A copy, on the same pool. */
function withMigrations(knex: Knex, options: Knex.MigratorConfig): Knex {
  const copy = knex.withUserParams({ ...knex.userParams });
  const { config } = copy.client as { config: Knex.Config };
  const { migrationSource, ...settings } = config.migrations ?? {};
  const isFolderGiven = options.directory !== undefined || options.loadExtensions !== undefined;
  config.migrations = { ...settings, ...(migrationSource && !isFolderGiven ? { migrationSource } : {}), ...options };
  return copy;
}

/** Of folders, under way in this process. */
const listings = new SingleFlight<string, string[]>();

/** The names of this release's migrations. */
async function listShipped({ config }: Migrator, signal: AbortSignal, server: string): Promise<string[]> {
  const { loadExtensions, migrationSource } = config;
  const cure = 'Set `migrations` of the Knex (`directory` or `migrationSource`), and ship the files with the application.';
  const place = placeOf(migrationSource);
  const list = async () => {
    const migrations = await migrationSource.getMigrations(loadExtensions);
    return migrations.map((migration) => migrationSource.getMigrationName(migration));
  };
  // A source of the application is its own affair; a folder can be on a file system that hangs.
  const isFolder = migrationSource.migrationsPaths !== undefined;
  const listing = isFolder ? listings.join(JSON.stringify([migrationSource.migrationsPaths, loadExtensions]), list) : list();
  const listed = listing.catch((error: unknown) => {
    throw new Error(`${server}: its migrations cannot be listed: ${describeError(error)}. ${cure}`);
  });
  const names = await untilAborted(listed, signal, `${server}: its migrations cannot be listed: ${place} has not answered`);
  if (names.length === 0) throw new Error(`${server}: there is no migration in ${place}. ${cure}`);
  return names;
}

/** The folders of Knex's own source of migrations. */
function placeOf({ migrationsPaths }: { migrationsPaths?: unknown }): string {
  return Array.isArray(migrationsPaths) ? migrationsPaths.join(', ') : 'its migration source';
}

/** The names in the table, or nothing where there is none. Knex's own `migrate.list()` would create it. */
async function listApplied(knex: Knex, { config, knex: plain }: Migrator, signal: AbortSignal): Promise<Set<string> | undefined> {
  const { schemaName, tableName } = config;
  const table = schemaName ? plain(tableName).withSchema(schemaName) : plain(tableName);
  try {
    const rows = await queryKnex(knex, signal, table.select<{ name: string }[]>('name'));
    return new Set(rows.map(({ name }) => name));
  } catch (error) {
    if (isNoTable(error)) return undefined;
    throw error;
  }
}

function isNoTable(error: unknown): boolean {
  const { code, message } = error as Error & { code?: unknown };
  return code === '42P01' || code === 'ER_NO_SUCH_TABLE' || /no such table/.test(message);
}

function tableOf({ config: { schemaName, tableName } }: Migrator): string {
  return schemaName ? `${schemaName}.${tableName}` : tableName;
}

function listNames(names: readonly string[]): string {
  const shown = names.slice(0, 5);
  return names.length > shown.length ? `${shown.join(', ')} and ${String(names.length - shown.length)} more` : shown.join(', ');
}
