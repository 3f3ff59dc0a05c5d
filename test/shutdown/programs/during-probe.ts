// A probe is in flight when the signal comes.
import { setTimeout as pause } from 'node:timers/promises';
import { gracefulShutdown, ProbeRegistry } from 'koa-probes';
import { announce, startApplication } from './application.js';

const probes = new ProbeRegistry();
probes.register({
  name: 'search',
  kinds: ['readiness'],
  check: async () => {
    console.log('probe begun');
    await pause(500);
  },
});
const { server } = await startApplication(probes);
gracefulShutdown(server, probes, { drainDelayMs: 100, timeoutMs: 10_000 });
announce(server);
