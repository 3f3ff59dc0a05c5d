// Two applications in one process, each with a shutdown of its own: one is through at once, the other has a request in flight.
import { gracefulShutdown } from 'koa-probes';
import { announce, startApplication } from './application.js';

const quick = await startApplication();
gracefulShutdown(quick.server, quick.probes, { drainDelayMs: 0, timeoutMs: 10_000 }).onShutdown('quick', () =>
  console.log('quick is through'),
);
const slow = await startApplication();
gracefulShutdown(slow.server, slow.probes, { drainDelayMs: 0, timeoutMs: 10_000 }).onShutdown('slow', () => console.log('slow is through'));
announce(quick.server);
announce(slow.server);
