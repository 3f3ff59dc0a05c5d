import type { Knex } from 'knex';
import { describeError } from '../../errors.js';
import { noteOutside } from '../../run/outside.js';
import type { ProbeContext } from '../../probe.js';
import { rejectUnknownOptions } from '../../validation.js';
import type { Ask, KnexClient, Row } from './client.js';
import { describeServer, fieldOf, isServerAnswer } from './failure.js';
import { validateKnex } from './knex.js';
import { queryKnex } from './query.js';
import { SingleFlight } from '../shared/single-flight.js';
import { untilAborted } from '../shared/until-aborted.js';

/**
 * Options of `checkMigrations()`. Set them if you pass the location of the migrations to `knex.migrate.latest()` and not to `knex()`.
 * Every option that is left out has the value of the Knex instance.
 */
export type CheckMigrationsOptions = {
  [Option in 'directory' | 'loadExtensions' | 'migrationSource' | 'schemaName' | 'tableName']?: Knex.MigratorConfig[Option] | undefined;
} & {
  /**
   * Name of the database in messages, in front of its address.
   * @default no name
   */
  name?: string | undefined;
};

const OPTION_NAMES: readonly string[] = ['directory', 'loadExtensions', 'migrationSource', 'schemaName', 'tableName', 'name'];

/**
 * Resolves when every migration of this release has been applied to the database. Migrations are compared by name.
 * A database that is ahead of this release passes, because pods of the previous release still use it during a rollout.
 * The check only reads the table of migrations and creates nothing, so a role with read access is enough.
 *
 * It rejects with an `Error` whose message says what is wrong:
 *
 * - migrations are pending, with their names, and whether the migration lock is held
 * - migrations were applied with another file extension (`.ts` and `.js`)
 * - the table of migrations does not exist yet
 * - the folder of migrations cannot be read or is empty
 * - the database is down, as in `checkKnex()`
 *
 * When the signal is aborted, it ends like `checkKnex()`.
 *
 * @throws the reason of the signal if it is aborted before the call; ConfigurationError if `knex` is not a Knex instance or an option is unknown
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
  const { name, ...settings } = options;
  const server = describeServer(knex.client as KnexClient, name);
  const migrator = makeMigrator(knex, settings);
  const shipped = await listShipped(migrator, signal, server);
  const problem = await queryKnex({ knex, name }, signal, async (ask) => {
    const applied = await listApplied(migrator, ask);
    if (applied === undefined) {
      return `no migration has been applied: the table ${tableOf(migrator)} does not exist, and ${String(shipped.length)} migrations are pending. Run knex migrate:latest.`;
    }
    const missing = shipped.filter((one) => !applied.has(one));
    return missing.length === 0 ? undefined : describeMissing(migrator, ask, shipped, applied, missing);
  });
  if (problem !== undefined) throw new Error(`${server}: ${problem}`);
}

async function describeMissing(
  migrator: Migrator,
  ask: Ask,
  shipped: readonly string[],
  applied: ReadonlySet<string>,
  missing: readonly string[],
): Promise<string> {
  const renamed = findRenamed(missing, applied);
  const pending = missing.filter((one) => !renamed.has(one));
  const lock = pending.length > 0 && (await isLocked(migrator, ask)) ? LOCKED : '';
  return [
    ...(pending.length === 0
      ? []
      : [
          `${String(pending.length)} of ${String(shipped.length)} migrations are pending: ${listNames(pending)}.${lock || ' Run knex migrate:latest.'}`,
        ]),
    ...(renamed.size === 0 ? [] : [describeRenamed(migrator, renamed)]),
  ].join(' ');
}

const LOCKED =
  ' The migration lock is held: a migration is running, or one ended without releasing the lock. If none is running, run knex migrate:unlock, then knex migrate:latest.';

/** Maps migrations of this release to the names under which they were applied, with the file extension before the compilation or a renaming. */
function findRenamed(missing: readonly string[], applied: ReadonlySet<string>): ReadonlyMap<string, string> {
  const byStem = new Map([...applied].map((one) => [withoutExtension(one), one]));
  return new Map(missing.flatMap((one) => (byStem.has(withoutExtension(one)) ? [[one, byStem.get(withoutExtension(one))!]] : [])));
}

function describeRenamed(migrator: Migrator, renamed: ReadonlyMap<string, string>): string {
  const table = tableOf(migrator);
  const pairs = [...renamed].map(([shipped, applied]) => `${applied} is shipped as ${shipped}`);
  const [[shipped, applied] = ['', '']] = renamed;
  return [
    `${renamed.size === 1 ? '1 migration was' : `${String(renamed.size)} migrations were`} applied with another file extension: ${listNames(pairs)}. knex migrate:latest rejects such a difference.`,
    `Rename the migrations in the table, for example UPDATE ${table} SET name = '${shipped}' WHERE name = '${applied}',`,
    'or set a `migrationSource` whose names have no extension.',
  ].join(' ');
}

function withoutExtension(name: string): string {
  return name.replace(/\.[cm]?[jt]s$/, '');
}

/** The part of Knex's own `Migrator` that is used: its settings with all defaults filled in, and a Knex instance whose hooks for identifiers and results can be turned off. */
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
  // Knex uses the plain name for its table, even if a hook of the application changes names.
  migrator.knex.disableProcessing();
  return migrator;
}

/** Returns a copy of the Knex instance with other settings, on the same pool. */
function withMigrations(knex: Knex, options: Knex.MigratorConfig): Knex {
  const copy = knex.withUserParams({ ...knex.userParams });
  const { config } = copy.client as { config: Knex.Config };
  const { migrationSource, ...settings } = config.migrations ?? {};
  const isFolderGiven = options.directory !== undefined || options.loadExtensions !== undefined;
  config.migrations = { ...settings, ...(migrationSource && !isFolderGiven ? { migrationSource } : {}), ...options };
  return copy;
}

/** Listings of folders in flight in this process. */
const listings = new SingleFlight<string, string[]>();

/** Returns the names of the migrations of this release. */
async function listShipped({ config }: Migrator, signal: AbortSignal, server: string): Promise<string[]> {
  const { loadExtensions, migrationSource } = config;
  const cure = 'Set `migrations` in the configuration of Knex (`directory` or `migrationSource`), and ship the files with the application.';
  const place = placeOf(migrationSource);
  const list = async () => {
    const migrations = await migrationSource.getMigrations(loadExtensions);
    return migrations.map((migration) => migrationSource.getMigrationName(migration));
  };
  // A folder can be on a file system that hangs, so it is read once at a time. A migration source of the application is called each time.
  const isFolder = migrationSource.migrationsPaths !== undefined;
  const listing = isFolder ? listings.joinOrRepeat(JSON.stringify([migrationSource.migrationsPaths, loadExtensions]), list) : list();
  const listed = listing.catch((error: unknown) => {
    throw new Error(`${server}: its migrations cannot be listed: ${describeError(error)}. ${cure}`);
  });
  const names = await untilAborted(listed, signal, `${server}: its migrations cannot be listed: ${place} has not answered`);
  if (names.length === 0) throw new Error(`${server}: no migrations were found in ${place}. ${cure}`);
  return names;
}

/** Returns the folders of Knex's own migration source. */
function placeOf({ migrationsPaths }: { migrationsPaths?: unknown }): string {
  return Array.isArray(migrationsPaths) ? migrationsPaths.join(', ') : 'its migration source';
}

/** Returns the names in the table, or undefined if the table does not exist. Knex's own `migrate.list()` is not used, because it would create the table. */
async function listApplied(migrator: Migrator, ask: Ask): Promise<Set<string> | undefined> {
  try {
    const rows = await ask(select(migrator, migrator.config.tableName, 'name'));
    return new Set(rows.map(({ name }) => String(name)));
  } catch (error) {
    if (isNoTable(error)) return undefined;
    throw error;
  }
}

/** Returns whether Knex's migration lock is held. If the table does not exist or the role may not read it, the answer is no. */
async function isLocked(migrator: Migrator, ask: Ask): Promise<boolean> {
  let rows: Row[];
  try {
    rows = await ask(select(migrator, `${migrator.config.tableName}_lock`, 'is_locked'));
  } catch (error) {
    if (isNoTable(error) || isServerAnswer(error)) return false;
    throw error;
  }
  return rows.some(({ is_locked: locked }) => Number(locked) === 1);
}

function select({ config: { schemaName }, knex }: Migrator, table: string, column: string): Knex.Sql {
  return (schemaName ? knex(table).withSchema(schemaName) : knex(table)).select(column).toSQL();
}

function isNoTable(error: unknown): boolean {
  const code = fieldOf(error, 'code');
  return code === '42P01' || code === 'ER_NO_SUCH_TABLE' || /no such table/.test(describeError(error));
}

function tableOf({ config: { schemaName, tableName } }: Migrator): string {
  return schemaName ? `${schemaName}.${tableName}` : tableName;
}

function listNames(names: readonly string[]): string {
  const shown = names.slice(0, 5);
  return names.length > shown.length ? `${shown.join(', ')} and ${String(names.length - shown.length)} more` : shown.join(', ');
}
