import { errorMonitor } from 'node:events';

/** The emitter of a client's events. */
export interface ErrorEmitter {
  on(event: string | symbol, listener: (error: unknown) => void): unknown;
  removeListener(event: string, listener: (error: unknown) => void): unknown;
  listenerCount(event: string): number;
}

/** The latest error of each client. A client reports why it is disconnected only once, to its listeners, and often before a check runs. */
const lastErrors = new WeakMap<object, { error: unknown }>();

/**
 * Remembers the latest error of a client from now on. It adds one listener that stays as long as the client exists.
 * The listener does not count as an error handler, so nothing changes for an application without one.
 */
export function watchErrors(client: ErrorEmitter): void {
  if (lastErrors.has(client)) return;
  const last = { error: undefined as unknown };
  lastErrors.set(client, last);
  client.on(errorMonitor, (error) => {
    last.error = error;
  });
}

/** Returns the latest connection error since the server last answered. */
export function lastErrorOf(client: object): unknown {
  const error = lastErrors.get(client)?.error;
  // A cluster of ioredis stores the original error as `lastNodeError`.
  const { lastNodeError } = (error ?? {}) as { lastNodeError?: unknown };
  return lastNodeError ?? error;
}

/** Call this when the server has answered. An earlier error explains nothing from then on. */
export function forgetError(client: object): void {
  const last = lastErrors.get(client);
  if (last !== undefined) last.error = undefined;
}
