import type { Knex } from 'knex';
import { Degraded } from '../../errors.js';
import type { Ask, KnexClient } from './client.js';
import { describeServer, explainFailure } from './failure.js';
import { acquire } from './pool.js';
import { RunningQuery } from './running-query.js';
import { watchConnecting } from './suspects.js';
import { describeBusy, describeWait } from './wait.js';
import { untilAborted } from '../shared/until-aborted.js';

/** A Knex instance with its name in messages. */
export interface NamedKnex {
  readonly knex: Knex;
  readonly name?: string | undefined;
}

/**
 * Runs the statements of `use` on one connection of the Knex instance's pool, until the signal is aborted. Then a pending acquire is withdrawn, a running query is cancelled
 * if the dialect can do so (at once or before the next query of a check), and its connection is closed.
 */
export async function queryKnex<T>({ knex, name }: NamedKnex, signal: AbortSignal, use: (ask: Ask) => Promise<T>): Promise<T> {
  signal.throwIfAborted();
  const client = knex.client as KnexClient;
  const { pool } = client;
  // Describe the server each time, because Knex refreshes its settings if `connection` is a function.
  const describe = () => describeServer(client, name);
  if (pool === undefined)
    throw new Error(`${describe()}: closed: knex.destroy() was called, or the Knex instance was created without a connection`);
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
    return await untilAborted(answer, signal, `${describe()}: no response: connected, but the query has not been answered`);
  } finally {
    query.end(answer);
  }
}

/** Returns whether this is the timeout of the pool (`acquireConnectionTimeout`), which can be shorter than that of the check. */
function isTimeoutOfPool(error: unknown): boolean {
  return error instanceof Error && error.constructor.name === 'TimeoutError';
}
