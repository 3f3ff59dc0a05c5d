import type { Knex } from 'knex';
import type { KnexClient, KnexConnection, KnexPool } from './knex-client.js';
import { describeServer, describeWait, explainFailure } from './knex-failure.js';
import { acquire, hasRoom } from './knex-pool.js';

/** How long the cancelling of a query may take, connecting included: the server that is asked for it may be silent itself. */
const CANCEL_WITHIN_MS = 1_000;

/**
 * Runs `query` on a connection of the Knex's own pool, and ends when the signal is aborted: an acquire that is still pending is withdrawn;
 * a query that is still running is cancelled, where the dialect can and the pool has room for that, and its connection is closed.
 */
export async function queryKnex<T>(knex: Knex, signal: AbortSignal, query: Knex.ChainableInterface<T>): Promise<T> {
  signal.throwIfAborted();
  const client = knex.client as KnexClient;
  const { pool } = client;
  const server = describeServer(client);
  if (pool === undefined) throw new Error(`${server}: closed: knex.destroy() has been called, or the Knex was made without a connection`);
  const connection = await acquire(pool, signal, (pending) => new Error(describeWait(pool, pending))).catch((error: unknown) => {
    throw explainFailure(server, error, pool);
  });
  let isAnswered = false;
  const answer = Promise.resolve(query.connection(connection)).finally(() => (isAnswered = true));
  try {
    return await untilAborted(answer, signal, () => new Error('silent: connected, but the query has not been answered'));
  } catch (error) {
    throw explainFailure(server, error, pool);
  } finally {
    if (isAnswered) pool.release(connection);
    else void giveUp(client, pool, connection, answer);
  }
}

/** Settles as the promise does, or rejects at the signal's abort with what `explain` makes. */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal, explain: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(explain());
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    void promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/** Ends a query that nobody waits for any more, and gives its connection back. */
async function giveUp(client: KnexClient, pool: KnexPool, connection: KnexConnection, answer: Promise<unknown>): Promise<void> {
  // An embedded database is its connection: closed, one in memory would be gone.
  if (client.dialect === 'sqlite3') await answer.catch(() => {});
  else {
    breakOff(client, connection);
    await cancel(client, pool, connection).catch(() => {});
  }
  pool.release(connection);
}

/** Closes the socket now: `end()` of mysql2 would queue behind the query. */
function breakOff(client: KnexClient, connection: KnexConnection): void {
  connection.__knex__disposed ??= 'given up by a health check, which had no answer in time';
  if (connection.destroy === undefined) client.destroyRawConnection(connection).catch(() => {});
  else connection.destroy();
  (connection.stream ?? connection.connection?.stream)?.destroy?.();
}

/** A server goes on with a query whose client is gone, so it is told on another connection: one of the pool, and never one that others wait for. */
async function cancel(client: KnexClient, pool: KnexPool, victim: KnexConnection): Promise<void> {
  if (!client.canCancelQuery || client._wrappedCancelQueryCall === undefined || !hasRoom(pool)) return;
  const signal = AbortSignal.timeout(CANCEL_WITHIN_MS);
  const explain = () => new Error('not cancelled in time');
  const helper = await acquire(pool, signal, explain);
  let isAnswered = false;
  try {
    const call = client._wrappedCancelQueryCall(helper, victim).finally(() => (isAnswered = true));
    await untilAborted(call, signal, explain);
  } finally {
    if (!isAnswered) breakOff(client, helper);
    pool.release(helper);
  }
}
