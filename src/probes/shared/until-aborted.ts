import { performance } from 'node:perf_hooks';

/**
 * What the promise comes to. At the signal's abort it rejects with what it was waiting for, and how long: `tcp mail:25: no connection for 800 ms`, which is
 * the cause of a timeout in the log. The signal keeps no listener.
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
