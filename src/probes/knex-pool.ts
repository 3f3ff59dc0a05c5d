import type { KnexConnection, KnexPool, PendingAcquire } from './knex-client.js';

/** Acquires that could not be withdrawn, because the pool is not tarn's: the next check takes one of them over before it asks for another. */
const leftBehind = new WeakMap<KnexPool, Set<PendingAcquire>>();

/**
 * A connection of the pool, to be released. At the signal's abort the acquire is withdrawn, and rejects with what `explain` makes.
 *
 * The pool is asked directly: `knex.client.acquireConnection()` waits for up to 60 s, cannot be withdrawn, and writes a line for each failure.
 */
export function acquire(pool: KnexPool, signal: AbortSignal, explain: (pending: PendingAcquire) => Error): Promise<KnexConnection> {
  const left = leftBehind.get(pool) ?? new Set();
  leftBehind.set(pool, left);
  const [pending = pool.acquire()] = left;
  left.delete(pending);
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      reject(explain(pending));
      withdraw(pending, left);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    const onConnection = (connection: KnexConnection) => {
      signal.removeEventListener('abort', onAbort);
      if (!signal.aborted) return resolve(connection);
      const isTakenOver = pending.abort === undefined && !left.delete(pending);
      if (!isTakenOver) pool.release(connection);
    };
    const onFailure = (error: unknown) => {
      signal.removeEventListener('abort', onAbort);
      left.delete(pending);
      reject(error);
    };
    pending.promise.then(onConnection, onFailure);
  });
}

/** Whether the pool can give one more connection without anyone having to wait for it. */
export function hasRoom(pool: KnexPool): boolean {
  const { max = 0 } = pool;
  const taken = (pool.numUsed?.() ?? Infinity) + (pool.numPendingCreates?.() ?? Infinity);
  return pool.numPendingAcquires?.() === 0 && taken < max;
}

function withdraw(pending: PendingAcquire, left: Set<PendingAcquire>): void {
  if (pending.abort === undefined) {
    left.add(pending);
    return;
  }
  // While a connection is being validated for it, tarn would close that, or give it back and wake nobody: it has a turn of the event loop to come.
  setImmediate(() => {
    // tarn notes the abort some microtasks later, and would hand a connection to nobody in between.
    pending.isRejected = true;
    pending.abort?.();
  });
}
