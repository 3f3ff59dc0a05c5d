import { multiInject } from 'inversify';
import type { Knex } from 'knex';
import { ReadinessProbe } from '../../discovery/decorators.js';
import { ConfigurationError } from '../../errors.js';
import { ChecksOutside, noteOutside } from '../../run/outside.js';
import type { Probe, ProbeContext } from '../../probe.js';
import { rejectUnknownOptions, show } from '../../validation.js';
import { checkEach, DATABASE, validateDatabases, validateKnex } from './database.js';
import { queryKnex } from './query.js';

export { DATABASE };

/** Readiness: `SELECT 1` on every Knex that is bound to `DATABASE`, through its own pool. Where some fail, the message names each of them. */
@ChecksOutside('a database')
@ReadinessProbe({ name: 'database' })
export class DatabaseProbe implements Probe {
  readonly #databases: readonly Knex[];

  constructor(@multiInject(DATABASE, { chained: true }) databases: readonly Knex[]) {
    validateDatabases('DatabaseProbe', databases);
    this.#databases = databases;
  }

  check(context: ProbeContext): Promise<void> {
    return checkEach(this.#databases, context, (database) => checkKnex(database, context));
  }
}

export interface CheckKnexOptions {
  /**
   * The SQL that the database must answer; what it answers does not matter.
   * @default 'SELECT 1'
   * @example 'SELECT 1 FROM DUAL'
   */
  query?: string | undefined;
}

/**
 * Resolves when the database has answered a query on a connection of the Knex's own pool. Rejects with an `Error` whose message names the database and says
 * what is wrong: `refused`, `unreachable`, `rejected` (the server's own words follow), `hung up`, `pool exhausted: 10 of 10 connections in use`, or `silent`.
 *
 * Waits for a connection or an answer until the signal is aborted, and no longer, whatever the timeouts of the Knex are. After that no acquire of it is pending;
 * the connection of a query under way is closed, and the query is cancelled where the dialect can (PostgreSQL, MySQL): at most 1 s later on another connection of
 * the pool, or by the next check before its own query where others wait for the pool. After two checks in a row without an answer the idle connections of the pool
 * are given up. Opens no connection beside the pool. Writes nothing through the logger of the Knex, which does so itself, with one
 * line (`Connection Error`) for each connection that was lost.
 *
 * @throws the signal's reason where that is aborted before the call; ConfigurationError where `knex` is none, an option is unknown, or `query` is not a text.
 */
export async function checkKnex(knex: Knex, context: Pick<ProbeContext, 'signal'>, options: CheckKnexOptions = {}): Promise<void> {
  noteOutside(context, 'a database');
  const { signal } = context;
  validateKnex(knex);
  rejectUnknownOptions('checkKnex()', options, ['query']);
  const { query = 'SELECT 1' } = options;
  if (typeof query !== 'string' || query.trim() === '') {
    throw new ConfigurationError(`Expected \`query\` of checkKnex() to be the text of an SQL query, got ${show(query)}.`);
  }
  await queryKnex(knex, signal, knex.raw(query));
}
