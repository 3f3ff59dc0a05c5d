import type { Knex } from 'knex';
import { ConfigurationError } from '../../errors.js';
import { noteOutside } from '../../run/outside.js';
import type { ProbeContext } from '../../probe.js';
import { checkMilliseconds, checkOneOf, rejectUnknownOptions, show } from '../../validation.js';
import { canCheckAccess, checkAccess, type DatabaseAccess } from './access.js';
import type { KnexClient } from './client.js';
import { checkAnswer, type Expected } from './expectation.js';
import { describeServer } from './failure.js';
import { canConnectAfresh, connectAfresh } from './fresh-connection.js';
import { validateKnex } from './knex.js';
import { queryKnex } from './query.js';

export interface CheckKnexOptions {
  /** What messages call the database, before its address. */
  name?: string | undefined;
  /**
   * What the application uses the database for. `'write'`: a server that is read-only fails, as a standby is after a failover, and its connections are given up,
   * so that the pool finds the new primary. For PostgreSQL, MySQL, MariaDB and SQLite.
   * @default a server that is read-only passes, as with `'read'`
   */
  access?: DatabaseAccess | undefined;
  /**
   * SQL that the database must answer; what it answers does not matter without `expect`.
   * @default 'SELECT 1', or the questions that `access` asks
   * @example 'SELECT 1 FROM DUAL'
   */
  query?: string | undefined;
  /**
   * What `query` must answer: a value for the first column of the first row, or a function that is given the rows and returns `true` if they are as they must be.
   * A number is compared as text too, since drivers give `count(*)` as text. A function may throw `NotReady` or `Degraded`.
   * @example (rows) => rows.length > 0
   */
  expect?: Expected | undefined;
  /**
   * Time in milliseconds after which a check makes a connection of its own, beside the pool, and closes it again: 1 to 3,600,000. It shows what only new
   * connections meet, such as a changed password or an expired certificate. Costs one login; allow the server one connection more for each pod. PostgreSQL, MySQL and MariaDB.
   * @default none
   */
  freshConnectionEveryMs?: number | undefined;
}

const CHECK_KNEX_OPTIONS: readonly string[] = ['name', 'access', 'query', 'expect', 'freshConnectionEveryMs'];

/**
 * Resolves when the database has answered on a connection of the Knex's own pool, and is fit for `access`. Rejects with an `Error` whose message names the database
 * and says what is wrong: `refused`, `unreachable`, `rejected` (the server's own words follow), `hung up`, `the server is read-only`, `the node takes no statements`
 * (a Galera node without quorum), `pool exhausted: 10 of 10 connections in use`, or `silent`. Rejects with `Degraded` if all connections are in use and some come
 * back while the check waits: at the signal's abort, and after 500 ms at the latest.
 *
 * Waits for a connection or an answer until the signal is aborted, and no longer, whatever the timeouts of the Knex are. After that no acquire of it is pending.
 * A query under way is cancelled, and its connection closed. PostgreSQL: by a cancel request, which passes PgBouncer, on a connection of its own; it keeps the
 * query's connection for up to 500 ms. MySQL: on another connection of the pool, or by the next check before its own query. A query that a proxy lets nobody cancel
 * is waited for: no other is begun. After two checks in a row without an answer the idle connections of the pool are given up.
 *
 * Writes nothing through the logger of the Knex, which itself writes one line (`Connection Error`) for each connection that was lost or given up.
 *
 * @throws the signal's reason if that is aborted before the call; ConfigurationError if `knex` is none or an option is wrong.
 */
export async function checkKnex(knex: Knex, context: Pick<ProbeContext, 'signal'>, options: CheckKnexOptions = {}): Promise<void> {
  noteOutside(context, 'a database');
  const { signal } = context;
  validateKnex(knex);
  validateCheckKnexOptions('checkKnex()', knex, options);
  const { name, access, query, expect, freshConnectionEveryMs } = options;
  const client = knex.client as KnexClient;
  const rows = await queryKnex({ knex, name }, signal, async (ask) => {
    const isAsked = await checkAccess(client.dialect ?? '', access, ask);
    return isAsked && query === undefined ? [] : ask(knex.raw(query ?? 'SELECT 1').toSQL());
  });
  const server = describeServer(client, name);
  if (expect !== undefined) checkAnswer(server, rows, expect);
  if (freshConnectionEveryMs === undefined || client.pool === undefined) return;
  await connectAfresh(client, client.pool, freshConnectionEveryMs, signal, server);
}

/** `subject` is what a message calls the owner of the options. */
export function validateCheckKnexOptions(subject: string, knex: Knex, options: CheckKnexOptions): void {
  rejectUnknownOptions(subject, options, CHECK_KNEX_OPTIONS);
  const { name, access, query, expect, freshConnectionEveryMs } = options;
  const client = knex.client as KnexClient;
  for (const [option, value] of Object.entries({ name, query })) {
    if (value === undefined || (typeof value === 'string' && value.trim() !== '')) continue;
    const what = option === 'query' ? 'an SQL query' : 'a non-empty string';
    throw new ConfigurationError(`Expected \`${option}\` of ${subject} to be ${what}, got ${show(value)}.`);
  }
  checkOneOf(subject, 'access', access, ['read', 'write', undefined]);
  if (!canCheckAccess(client.dialect ?? '', access)) {
    throw new ConfigurationError(
      `\`access: 'write'\` of ${subject} cannot be checked in the dialect ${String(client.dialect)}. Leave it out, and ask with \`query\` and \`expect\`.`,
    );
  }
  if (expect !== undefined && query === undefined) {
    throw new ConfigurationError(`\`expect\` of ${subject} needs a \`query\`, whose answer it is held against.`);
  }
  if (expect !== undefined && !['string', 'number', 'bigint', 'boolean', 'function'].includes(typeof expect) && expect !== null) {
    throw new ConfigurationError(`Expected \`expect\` of ${subject} to be a value or a function of the rows, got ${show(expect)}.`);
  }
  if (freshConnectionEveryMs === undefined) return;
  checkMilliseconds(subject, 'freshConnectionEveryMs', freshConnectionEveryMs);
  if (canConnectAfresh(client)) return;
  throw new ConfigurationError(
    `\`freshConnectionEveryMs\` of ${subject} needs a Knex on PostgreSQL, MySQL or MariaDB that has \`connection\`. Leave it out.`,
  );
}
