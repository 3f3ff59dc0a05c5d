// The startup probe has not passed when the signal comes.
import { gracefulShutdown, ProbeRegistry } from 'koa-probes';
import { announce, startApplication } from './application.js';

const probes = new ProbeRegistry();
probes.register({ name: 'warm-up', kinds: ['startup'], check: () => new Promise(() => {}), timeoutMs: 200 });
const { server } = await startApplication(probes);
gracefulShutdown(server, probes, { drainDelayMs: 500, timeoutMs: 10_000 });
announce(server);
