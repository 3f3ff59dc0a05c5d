import { UnfitServer } from './access.js';
import { canRequestCancel, requestCancel } from './cancel-request.js';
import { cancelLeftRunning, leaveRunning } from './cancel.js';
import {
  breakOff,
  close,
  giveUpIdle,
  isEmbedded,
  rowsOf,
  type Ask,
  type KnexClient,
  type KnexConnection,
  type KnexPool,
  type Row,
  type Statement,
} from './client.js';
import { isLoss } from './failure.js';
import { acquire, hasRoom } from './pool.js';
import { noteAnswer, noteSilence } from './silence.js';
import { noteCancelling, untilCancelled } from './under-cancel.js';
import { untilAborted } from '../shared/until-aborted.js';

/** How long it may take to cancel a query on a connection of the pool, including the connection attempt. The server may not respond to this either. */
const CANCEL_WITHIN_MS = 1_000;

/** How long a query may take to end after PostgreSQL's CancelRequest. Its connection and its place in the pool are kept for this time. */
const CANCEL_REQUEST_WITHIN_MS = 500;

const GIVEN_UP = 'closed by a health check: no answer in time';

/** A query on one connection of the pool. */
export class RunningQuery {
  #sql: string | undefined;
  #startedAt = 0;
  #isAnswered = false;
  #isLost = false;
  #isUnfit = false;

  constructor(
    private readonly client: KnexClient,
    private readonly pool: KnexPool,
    private readonly connection: KnexConnection,
    private readonly signal: AbortSignal,
  ) {}

  async run<T>(use: (ask: Ask) => Promise<T>): Promise<T> {
    try {
      await untilCancelled(this.pool);
      this.signal.throwIfAborted();
      await cancelLeftRunning(this.client, this.pool, this.connection);
      return await use((statement) => this.#ask(statement));
    } catch (error) {
      this.#isLost = isLoss(error, this.connection);
      this.#isUnfit = error instanceof UnfitServer;
      throw error;
    } finally {
      this.#isAnswered = true;
    }
  }

  async #ask(statement: Statement): Promise<Row[]> {
    this.signal.throwIfAborted();
    // Knex rewrites the text for the driver. The server lists the rewritten text.
    const query = { ...statement };
    this.#startedAt = performance.now();
    const asked = this.client.query(this.connection, query);
    this.#sql = query.sql;
    return rowsOf(this.client, (await asked).response);
  }

  /** Releases the connection or closes it. */
  end(answer: Promise<unknown>): void {
    const { client, pool, connection } = this;
    if (this.#isAnswered && !this.#isLost) noteAnswer(pool);
    else if (!isEmbedded(client)) noteSilence(pool);
    if (this.#isUnfit && !isEmbedded(client)) {
      const reason = 'closed by a health check: the server is read-only or accepts no statements';
      giveUpIdle(pool, reason);
      close(client, connection, reason);
    }
    // The error can arrive before the server closes the connection, so close it here.
    if (this.#isLost && !isEmbedded(client)) breakOff(client, connection, 'closed by a health check: the connection was lost');
    if (this.#isAnswered) pool.release(connection);
    else void this.#giveUp(answer);
  }

  /** Ends a query that nobody waits for any longer, and releases its connection. */
  async #giveUp(answer: Promise<unknown>): Promise<void> {
    const { client, pool, connection } = this;
    const settled = answer.catch(() => {});
    if (isEmbedded(client)) {
      await settled;
      pool.release(connection);
      return;
    }
    await noteCancelling(pool, this.#cancel(settled));
    // Close the connection even if the query was cancelled: the last cancel request may still arrive, and would cancel the next query on this connection.
    if (this.#isAnswered) close(client, connection, GIVEN_UP);
    else breakOff(client, connection, GIVEN_UP);
    // Release it before the query is cancelled, because that takes another connection, and this one may be the only one.
    pool.release(connection);
    if (!this.#isAnswered && hasRoom(pool)) await cancelNow(client, pool).catch(() => {});
  }

  async #cancel(settled: Promise<unknown>): Promise<void> {
    const { client, pool, connection } = this;
    if (canRequestCancel(client, connection)) {
      await requestCancel(client, connection, settled, AbortSignal.timeout(CANCEL_REQUEST_WITHIN_MS));
    }
    if (!this.#isAnswered && this.#sql !== undefined) leaveRunning(client, pool, connection, this.#sql, this.#startedAt);
  }
}

/** Cancels queries on another connection of the pool. If this takes too long, it is left to the next check. */
async function cancelNow(client: KnexClient, pool: KnexPool): Promise<void> {
  const signal = AbortSignal.timeout(CANCEL_WITHIN_MS);
  const helper = await acquire(pool, signal, () => new Error('no connection'));
  let isAnswered = false;
  try {
    const cancelling = cancelLeftRunning(client, pool, helper).finally(() => (isAnswered = true));
    await untilAborted(cancelling, signal, 'not cancelled');
  } finally {
    if (!isAnswered) breakOff(client, helper, GIVEN_UP);
    pool.release(helper);
  }
}
