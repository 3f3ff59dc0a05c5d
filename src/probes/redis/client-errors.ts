import { errorMonitor } from 'node:events';

/** What emits the events of a client. */
export interface ErrorEmitter {
  on(event: string | symbol, listener: (error: unknown) => void): unknown;
  removeListener(event: string, listener: (error: unknown) => void): unknown;
  listenerCount(event: string): number;
}

/** Why a client has no connection is told to its listeners alone, once, and often before a check asks. Bound to the client's life. */
const lastErrors = new WeakMap<object, { error: unknown }>();

/**
 * Keeps the latest error of a client from now on, by one listener that stays for as long as the client lives. It does not count as a handler:
 * an application without one hears of the error as before.
 */
export function watchErrors(client: ErrorEmitter): void {
  if (lastErrors.has(client)) return;
  const last = { error: undefined as unknown };
  lastErrors.set(client, last);
  client.on(errorMonitor, (error) => {
    last.error = error;
  });
}

/** What kept the client from its server last, since it last answered. */
export function lastErrorOf(client: object): unknown {
  const error = lastErrors.get(client)?.error;
  // ioredis' cluster keeps what it was under a name of its own.
  const { lastNodeError } = (error ?? {}) as { lastNodeError?: unknown };
  return lastNodeError ?? error;
}

/** Its server has answered: what went before explains nothing any more. */
export function forgetError(client: object): void {
  const last = lastErrors.get(client);
  if (last !== undefined) last.error = undefined;
}
