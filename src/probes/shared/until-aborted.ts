import { performance } from 'node:perf_hooks';

/**
 * Settles like `promise`. If the signal is aborted first, it rejects with `what` and the time that it has waited: `tcp mail:25: no connection for 800 ms`.
 * In the log, this error is the cause of the timeout. No listener stays on the signal.
 */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal, what: string): Promise<T> {
  const startedAt = performance.now();
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      const waitedMs = Math.round(performance.now() - startedAt);
      reject(new Error(`${what} for ${String(waitedMs)} ms`, { cause: signal.reason }));
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
