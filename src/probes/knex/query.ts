import type { Knex } from 'knex';
import { cancelLeftRunning, leaveRunning } from './cancel.js';
import type { KnexClient, KnexConnection, KnexPool } from './client.js';
import { describeServer, describeWait, explainFailure, isLoss } from './failure.js';
import { acquire, hasRoom } from './pool.js';
import { noteAnswer, noteSilence } from './silence.js';
import { untilAborted } from '../shared/until-aborted.js';

/** How long the cancelling of a query may take, connecting included: the server that is asked for it may be silent itself. */
const CANCEL_WITHIN_MS = 1_000;

/** `knex.raw(…)`, or what a query builder has built. */
type Query<T> = Knex.ChainableInterface<T> & { toSQL(): Knex.Sql };

/**
 * Runs `query` on a connection of the Knex's own pool, and ends when the signal is aborted: an acquire that is still pending is withdrawn;
 * the connection of a query that is still running is closed, and the query is cancelled where the dialect can: at once where the pool has room for that,
 * else before the next query.
 */
export async function queryKnex<T>(knex: Knex, signal: AbortSignal, query: Query<T>): Promise<T> {
  signal.throwIfAborted();
  const client = knex.client as KnexClient;
  const { pool } = client;
  const server = describeServer(client);
  if (pool === undefined) throw new Error(`${server}: closed: knex.destroy() has been called, or the Knex was made without a connection`);
  const connection = await acquire(pool, signal, (pending) => new Error(describeWait(pool, pending))).catch((error: unknown) => {
    throw explainFailure(server, error, pool);
  });
  let isAsked = false;
  let isAnswered = false;
  let isLost = false;
  const ask = async () => {
    await cancelLeftRunning(client, pool, connection);
    signal.throwIfAborted();
    isAsked = true;
    return query.connection(connection);
  };
  const answer = ask()
    .finally(() => (isAnswered = true))
    .catch((error: unknown) => {
      isLost = isLoss(error);
      throw explainFailure(server, error, pool);
    });
  try {
    return await untilAborted(answer, signal, `${server}: silent: connected, but the query has not been answered`);
  } finally {
    if (isAnswered && !isLost) noteAnswer(pool);
    else if (!isEmbedded(client)) noteSilence(pool);
    if (isAsked && !isAnswered) leaveRunning(client, pool, connection, query.toSQL().toNative().sql);
    if (isAnswered) pool.release(connection);
    else void giveUp(client, pool, connection, answer);
  }
}

/** Ends a query that nobody waits for any more, and gives its connection back. */
async function giveUp(client: KnexClient, pool: KnexPool, connection: KnexConnection, answer: Promise<unknown>): Promise<void> {
  if (isEmbedded(client)) {
    await answer.catch(() => {});
    pool.release(connection);
    return;
  }
  breakOff(client, connection);
  // Before the query is cancelled: that takes another connection, and this may have been the only one.
  pool.release(connection);
  if (hasRoom(pool)) await cancelNow(client, pool).catch(() => {});
}

/** An embedded database is its connection: closed, one in memory would be gone. */
function isEmbedded({ dialect }: KnexClient): boolean {
  return dialect === 'sqlite3';
}

/** Closes the socket now: `end()` of mysql2 would queue behind the query. */
function breakOff(client: KnexClient, connection: KnexConnection): void {
  connection.__knex__disposed ??= 'given up by a health check, which had no answer in time';
  if (connection.destroy === undefined) client.destroyRawConnection(connection).catch(() => {});
  else connection.destroy();
  (connection.stream ?? connection.connection?.stream)?.destroy?.();
}

/** On another connection of the pool. What is not done in time is left to the next check. */
async function cancelNow(client: KnexClient, pool: KnexPool): Promise<void> {
  const signal = AbortSignal.timeout(CANCEL_WITHIN_MS);
  const helper = await acquire(pool, signal, () => new Error('no connection'));
  let isAnswered = false;
  try {
    const cancelling = cancelLeftRunning(client, pool, helper).finally(() => (isAnswered = true));
    await untilAborted(cancelling, signal, 'not cancelled');
  } finally {
    if (!isAnswered) breakOff(client, helper);
    pool.release(helper);
  }
}
