import { isClosed, type KnexConnection, type KnexPool, type PendingAcquire } from './client.js';

/** Pending acquires that could not be withdrawn, because the pool is not a pool of tarn. The next check takes one of them over before it starts another. */
const leftBehind = new WeakMap<KnexPool, Set<PendingAcquire>>();

/**
 * How long a check waits for a connection while others are released to the pool. It is shorter than the default timeout, so that the check can report a busy pool before it times out.
 */
const BUSY_AFTER_MS = 500;

/** A wait that ended without a connection. */
export interface WaitOver {
  readonly pending: PendingAcquire;
  /** Whether all connections are in use, and some were released while the check waited. */
  readonly isBusy: boolean;
}

/**
 * Acquires a connection of the pool. The caller must release it. If the signal is aborted, or earlier if the pool is busy, the acquire is withdrawn, and the promise rejects with the error of `explain`.
 *
 * It uses the pool directly, because `knex.client.acquireConnection()` waits for up to 60 s, cannot be cancelled, and logs a line for each failure.
 */
export function acquire(pool: KnexPool, signal: AbortSignal, explain: (wait: WaitOver) => Error): Promise<KnexConnection> {
  const left = leftBehind.get(pool) ?? new Set();
  leftBehind.set(pool, left);
  const beside = countBeside(pool);
  const [first = pool.acquire()] = left;
  left.delete(first);
  const attempts = [first, ...Array.from({ length: beside }, () => pool.acquire())];
  return new Promise((resolve, reject) => {
    let isOver = false;
    let failed = 0;
    let returned = 0;
    const onRelease = (connection: KnexConnection) => {
      if (!isClosed(connection)) returned += 1;
    };
    const isBusy = () => returned > 0 && (pool.numUsed?.() ?? 0) >= (pool.max ?? Infinity);
    const end = (settled?: PendingAcquire) => {
      isOver = true;
      clearTimeout(busyTimer);
      signal.removeEventListener('abort', onAbort);
      pool.removeListener?.('release', onRelease);
      for (const one of attempts) if (one !== settled) withdraw(one, left);
    };
    const onAbort = () => {
      reject(explain({ pending: first, isBusy: isBusy() }));
      end();
    };
    const busyTimer = setTimeout(() => isBusy() && onAbort(), BUSY_AFTER_MS);
    pool.on?.('release', onRelease);
    signal.addEventListener('abort', onAbort, { once: true });
    for (const attempt of attempts) {
      const onConnection = (connection: KnexConnection) => {
        if (!isOver) {
          end(attempt);
          return resolve(connection);
        }
        const isTakenOver = attempt.abort === undefined && !left.delete(attempt);
        if (!isTakenOver) pool.release(connection);
      };
      const onFailure = (error: unknown) => {
        left.delete(attempt);
        failed += 1;
        // The pool may report a failed old connection to one of the acquires while a new connection is about to be ready.
        if (isOver || failed < attempts.length) return;
        end(attempt);
        reject(error);
      };
      attempt.promise.then(onConnection, onFailure);
    }
  });
}

/**
 * Returns how many additional acquires are needed to make the pool open a new connection. The pool opens no more connections than there are acquires, and it may be opening some that nobody waits for.
 * A connection attempt to a host that has disappeared stays pending for 30 s, and the database may be back in the meantime.
 */
function countBeside(pool: KnexPool): number {
  const [connecting, waiting] = [pool.numPendingCreates?.() ?? 0, pool.numPendingAcquires?.() ?? 0];
  return hasPlace(pool) ? Math.max(0, connecting - waiting) : 0;
}

/** Returns whether the pool has a connection left, so that nobody has to wait for it. */
export function hasRoom(pool: KnexPool): boolean {
  return pool.numPendingAcquires?.() === 0 && hasPlace(pool);
}

function hasPlace(pool: KnexPool): boolean {
  const { max = 0 } = pool;
  return (pool.numUsed?.() ?? Infinity) + (pool.numPendingCreates?.() ?? Infinity) < max;
}

function withdraw(pending: PendingAcquire, left: Set<PendingAcquire>): void {
  if (pending.abort === undefined) {
    left.add(pending);
    return;
  }
  // Wait one turn of the event loop. A connection may be in validation for this acquire, and tarn would close it, or release it without notifying the next waiter.
  setImmediate(() => {
    // tarn notices the abort some microtasks later, and could assign a connection to this acquire in between.
    pending.isRejected = true;
    pending.abort?.();
  });
}
