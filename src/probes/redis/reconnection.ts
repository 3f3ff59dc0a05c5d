import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { SingleFlight } from '../shared/single-flight.js';
import type { ErrorEmitter } from './client-errors.js';

/** A client closes its connection at most four times a second, no matter how often it is checked. */
const LEAST_MS_BETWEEN = 250;

const lastGivenUpAt = new WeakMap<object, number>();
const reconnections = new SingleFlight<object, void>();

/** Makes a client close its connection, and resolves when the client is ready on another one. Checks of the same client at the same time share this. */
export function replaceConnection(client: ErrorEmitter, signal: AbortSignal, giveUp: () => unknown): Promise<void> {
  return reconnections.join(client, async () => {
    const waitMs = (lastGivenUpAt.get(client) ?? -Infinity) + LEAST_MS_BETWEEN - performance.now();
    if (waitMs > 0) await pause(waitMs, undefined, { signal });
    lastGivenUpAt.set(client, performance.now());
    const isReady = untilReady(client, signal);
    await Promise.all([isReady, giveUp()]);
  });
}

function untilReady(client: ErrorEmitter, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = () => {
      client.removeListener('ready', onReady);
      signal.removeEventListener('abort', onAbort);
    };
    const onReady = () => {
      end();
      resolve();
    };
    const onAbort = () => {
      end();
      reject(signal.reason as Error);
    };
    client.on('ready', onReady);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}
