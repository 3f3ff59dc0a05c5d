import { isClosed, type KnexConnection, type KnexPool, type PendingAcquire } from './client.js';

/** Acquires that could not be withdrawn, because the pool is not tarn's: the next check takes one of them over before it asks for another. */
const leftBehind = new WeakMap<KnexPool, Set<PendingAcquire>>();

/**
 * How long a check waits for its turn if connections come back to the pool meanwhile, in milliseconds: below the default timeout, so that the run can still say that
 * the pool is busy.
 */
const BUSY_AFTER_MS = 500;

/** Why a wait has ended without a connection. */
export interface WaitOver {
  readonly pending: PendingAcquire;
  /** All connections are in use, and some of them came back while the check waited. */
  readonly isBusy: boolean;
}

/**
 * A connection of the pool, to be released. At the signal's abort the acquire is withdrawn, and rejects with what `explain` makes; earlier if the pool is busy.
 *
 * The pool is asked directly: `knex.client.acquireConnection()` waits for up to 60 s, cannot be withdrawn, and writes a line for each failure.
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
        // The pool tells one of them that an old connection has failed, while a new one is about to come.
        if (isOver || failed < attempts.length) return;
        end(attempt);
        reject(error);
      };
      attempt.promise.then(onConnection, onFailure);
    }
  });
}

/**
 * How many acquires more it takes for the pool to begin a connection beside those that it has begun and nobody waits for: it begins no more than there are acquires.
 * One to a host that has vanished is pending for 30 s, and the database may be back meanwhile.
 */
function countBeside(pool: KnexPool): number {
  const [connecting, waiting] = [pool.numPendingCreates?.() ?? 0, pool.numPendingAcquires?.() ?? 0];
  return hasPlace(pool) ? Math.max(0, connecting - waiting) : 0;
}

/** Whether the pool can give one more connection without anyone having to wait for it. */
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
  // While a connection is being validated for it, tarn would close that, or give it back and wake nobody: it has a turn of the event loop to come.
  setImmediate(() => {
    // tarn notes the abort some microtasks later, and would hand a connection to nobody in between.
    pending.isRejected = true;
    pending.abort?.();
  });
}
