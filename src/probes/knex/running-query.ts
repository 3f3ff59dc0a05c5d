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

/** How long the cancelling of a query may take on a connection of the pool, connecting included: the server that is asked for it may be silent itself. */
const CANCEL_WITHIN_MS = 1_000;

/** How long a query may take to end after PostgreSQL's CancelRequest. Its connection is kept for so long, and its place in the pool. */
const CANCEL_REQUEST_WITHIN_MS = 500;

const GIVEN_UP = 'given up by a health check, which had no answer in time';

/** What runs on one connection of the pool. */
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
    // Knex turns its text into that of the driver, which is what the server lists.
    const query = { ...statement };
    this.#startedAt = performance.now();
    const asked = this.client.query(this.connection, query);
    this.#sql = query.sql;
    return rowsOf(this.client, (await asked).response);
  }

  /** Gives the connection back, or up. */
  end(answer: Promise<unknown>): void {
    const { client, pool, connection } = this;
    if (this.#isAnswered && !this.#isLost) noteAnswer(pool);
    else if (!isEmbedded(client)) noteSilence(pool);
    if (this.#isUnfit && !isEmbedded(client)) {
      const reason = 'given up by a health check: the server is read-only or takes no statements';
      giveUpIdle(pool, reason);
      close(client, connection, reason);
    }
    // The server says why it closes a connection before it does so.
    if (this.#isLost && !isEmbedded(client)) breakOff(client, connection, 'given up by a health check: it was lost');
    if (this.#isAnswered) pool.release(connection);
    else void this.#giveUp(answer);
  }

  /** Ends a query that nobody waits for any more, and gives its connection back. */
  async #giveUp(answer: Promise<unknown>): Promise<void> {
    const { client, pool, connection } = this;
    const settled = answer.catch(() => {});
    if (isEmbedded(client)) {
      await settled;
      pool.release(connection);
      return;
    }
    await noteCancelling(pool, this.#cancel(settled));
    // One that was cancelled goes too: the last request may still be on its way, and would meet the next query.
    if (this.#isAnswered) close(client, connection, GIVEN_UP);
    else breakOff(client, connection, GIVEN_UP);
    // Before the query is cancelled: that takes another connection, and this may have been the only one.
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

/** On another connection of the pool. What is not done in time is left to the next check. */
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
