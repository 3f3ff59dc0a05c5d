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

/** Options of `checkKnex()`. All are optional. */
export interface CheckKnexOptions {
  /**
   * Name of the database in messages, in front of its address.
   * @default no name
   */
  name?: string | undefined;
  /**
   * The access that the application needs. With `'write'`, the check fails if the server is read-only, as a former primary is after a failover.
   * The connections to that server are closed, so that the pool can find the new primary. Supported for PostgreSQL, MySQL, MariaDB and SQLite.
   * @default 'read', so a read-only server passes
   */
  access?: DatabaseAccess | undefined;
  /**
   * The SQL query to send. The result does not matter unless `expect` is set.
   * @default 'SELECT 1', or the statements that `access` needs
   * @example 'SELECT 1 FROM DUAL'
   */
  query?: string | undefined;
  /**
   * The expected result of `query`: the value in the first column of the first row, or a function that receives all rows and returns `true` if they are as expected.
   * A number also matches its text, because drivers return `count(*)` as text. A function may throw `NotReady` or `Degraded`. It cannot be asynchronous.
   * @default any result
   * @example (rows) => rows.length > 0
   */
  expect?: Expected | undefined;
  /**
   * Interval in milliseconds, 1 to 3,600,000, at which a check opens a separate connection outside the pool and closes it again.
   * It detects problems that only new connections have, such as a changed password or an expired certificate.
   * Each time costs one login. Allow one more connection per pod at the server. Supported for PostgreSQL, MySQL and MariaDB.
   * @default no separate connection
   */
  freshConnectionEveryMs?: number | undefined;
}

const CHECK_KNEX_OPTIONS: readonly string[] = ['name', 'access', 'query', 'expect', 'freshConnectionEveryMs'];

/**
 * Checks a database through the pool of its Knex instance. Resolves when the database has answered on a connection of that pool and allows `access`.
 *
 * If the database is down, it rejects with an `Error`. The message names the database and says what is wrong: `connection refused`, `unreachable`, `rejected` (followed by the message of the server),
 * `connection lost`, `no response`, `the server is read-only`, `the node accepts no statements` (a Galera node without quorum), or `pool exhausted: 10 of 10 connections in use`.
 * If all connections are in use and some are released while the check waits, it rejects with `Degraded` instead, after 500 ms or when the signal is aborted.
 *
 * It waits for a connection and for an answer until the signal is aborted, no matter which timeouts the Knex instance has. After the abort:
 *
 * - No request for a connection is pending in the pool.
 * - A running query is cancelled and its connection is closed. For PostgreSQL, a cancel request is sent on a separate connection, which also works through PgBouncer; the connection of the query is kept for up to 500 ms.
 *   For MySQL, the query is cancelled on another connection of the pool, or by the next check before its own query. If a proxy prevents that, later checks start no query until the running one has ended.
 * - After two checks in a row without an answer, the idle connections of the pool are closed.
 *
 * It writes nothing to the logger of Knex. Knex itself logs one line (`Connection Error`) for each connection that was lost or closed.
 *
 * @throws the reason of the signal if it is aborted before the call; ConfigurationError if `knex` is not a Knex instance or an option is wrong
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
      `\`access: 'write'\` of ${subject} cannot be checked in the dialect ${String(client.dialect)}. Leave the option out, and check the access with \`query\` and \`expect\`.`,
    );
  }
  if (expect !== undefined && query === undefined) {
    throw new ConfigurationError(
      `\`expect\` of ${subject} needs a \`query\` whose result it can check. Set \`query\`, or leave \`expect\` out.`,
    );
  }
  if (expect !== undefined && !['string', 'number', 'bigint', 'boolean', 'function'].includes(typeof expect) && expect !== null) {
    throw new ConfigurationError(`Expected \`expect\` of ${subject} to be a value or a function of the rows, got ${show(expect)}.`);
  }
  if (freshConnectionEveryMs === undefined) return;
  checkMilliseconds(subject, 'freshConnectionEveryMs', freshConnectionEveryMs);
  if (canConnectAfresh(client)) return;
  throw new ConfigurationError(
    `\`freshConnectionEveryMs\` of ${subject} needs a Knex instance for PostgreSQL, MySQL or MariaDB with \`connection\` in its configuration. Leave the option out.`,
  );
}
