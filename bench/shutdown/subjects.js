import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { ProbeRegistry, gracefulShutdown } from '../../dist/index.js';

/** For what is in flight after the delay: longer than any request. */
const TIMEOUT_MS = 5_000;

/**
 * Ways to end a server on SIGTERM, each as its documentation shows it; those that have no delay of their own sleep before. The packages are loaded by the process that needs them.
 *
 * @type {Record<string, (server: import('node:http').Server, delayMs: number) => unknown>}
 */
export const subjects = {
  'koa-probes': (server, drainDelayMs) =>
    gracefulShutdown(server, new ProbeRegistry({ logger: false }), { drainDelayMs, timeoutMs: 15_000 }),

  'server.close()': (server) => process.once('SIGTERM', () => server.close()),

  '@godaddy/terminus': async (server, delayMs) => {
    const { createTerminus } = await import('@godaddy/terminus');
    createTerminus(server, { beforeShutdown: () => pause(delayMs), timeout: TIMEOUT_MS, useExit0: true });
  },

  '@godaddy/terminus, its defaults': async (server) => {
    const { createTerminus } = await import('@godaddy/terminus');
    createTerminus(server);
  },

  lightship: async (server, delayMs) => {
    const { createLightship } = await import('lightship');
    const lightship = await createLightship({ shutdownDelay: delayMs });
    lightship.registerShutdownHandler(() => close(server));
    lightship.signalReady();
  },

  'http-terminator': async (server, delayMs) => {
    const { createHttpTerminator } = await import('http-terminator');
    const terminator = createHttpTerminator({ server, gracefulTerminationTimeout: TIMEOUT_MS });
    process.once('SIGTERM', () => setTimeout(() => void terminator.terminate(), delayMs));
  },

  'http-terminator, its defaults': async (server) => {
    const { createHttpTerminator } = await import('http-terminator');
    const terminator = createHttpTerminator({ server });
    process.once('SIGTERM', () => void terminator.terminate());
  },

  stoppable: async (server, delayMs) => {
    const { default: stoppable } = await import('stoppable');
    stoppable(server, TIMEOUT_MS);
    process.once('SIGTERM', () => setTimeout(() => server.stop(), delayMs));
  },

  'stoppable, its defaults': async (server) => {
    const { default: stoppable } = await import('stoppable');
    stoppable(server);
    process.once('SIGTERM', () => server.stop());
  },

  'close-with-grace': async (server, delayMs) => {
    const { default: closeWithGrace } = await import('close-with-grace');
    closeWithGrace({ delay: delayMs + TIMEOUT_MS }, async () => {
      await pause(delayMs);
      await close(server);
    });
  },

  'close-with-grace, its defaults': async (server) => {
    const { default: closeWithGrace } = await import('close-with-grace');
    closeWithGrace(() => close(server));
  },
};

function close(server) {
  server.close();
  return once(server, 'close');
}
