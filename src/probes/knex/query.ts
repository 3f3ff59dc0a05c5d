import type { Knex } from 'knex';
import { Degraded } from '../../errors.js';
import type { Ask, KnexClient } from './client.js';
import { describeServer, explainFailure } from './failure.js';
import { acquire } from './pool.js';
import { RunningQuery } from './running-query.js';
import { watchConnecting } from './suspects.js';
import { describeBusy, describeWait } from './wait.js';
import { untilAborted } from '../shared/until-aborted.js';

/** A Knex, and what messages call it. */
export interface NamedKnex {
  readonly knex: Knex;
  readonly name?: string | undefined;
}

/**
 * Runs the statements of `use` on one connection of the Knex's own pool, and ends when the signal is aborted: an acquire that is still pending is withdrawn;
 * a query that is still running is cancelled if the dialect can, at once or before the next query of a check, and its connection is closed.
 */
export async function queryKnex<T>({ knex, name }: NamedKnex, signal: AbortSignal, use: (ask: Ask) => Promise<T>): Promise<T> {
  signal.throwIfAborted();
  const client = knex.client as KnexClient;
  const { pool } = client;
  // Anew each time: Knex refreshes the settings of a `connection` that is a function.
  const describe = () => describeServer(client, name);
  if (pool === undefined)
    throw new Error(`${describe()}: closed: knex.destroy() has been called, or the Knex was made without a connection`);
  watchConnecting(client);
  const connection = await acquire(pool, signal, ({ pending, isBusy }) =>
    isBusy ? describeBusy(pool, describeServer(client), name) : new Error(describeWait(client, pool, pending)),
  ).catch((error: unknown) => {
    if (Degraded.is(error)) throw error;
    throw explainFailure(describe(), isTimeoutOfPool(error) ? new Error(describeWait(client, pool)) : error);
  });
  const query = new RunningQuery(client, pool, connection, signal);
  const answer = query.run(use).catch((error: unknown) => {
    throw explainFailure(describe(), error, connection);
  });
  try {
    return await untilAborted(answer, signal, `${describe()}: silent: connected, but the query has not been answered`);
  } finally {
    query.end(answer);
  }
}

/** Of the pool's own time (`acquireConnectionTimeout`), if that is shorter than the check's. */
function isTimeoutOfPool(error: unknown): boolean {
  return error instanceof Error && error.constructor.name === 'TimeoutError';
}
