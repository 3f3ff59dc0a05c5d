// Delay, requests, hooks in reverse order, exit 0.
import { gracefulShutdown } from 'koa-probes';
import { announce, startApplication } from './application.js';

const { server, probes } = await startApplication();
const shutdown = gracefulShutdown(server, probes, { drainDelayMs: 300, timeoutMs: 10_000 });
for (const name of ['first', 'second']) shutdown.onShutdown(name, (reason) => console.log(`hook ${name} by ${reason}`));
announce(server);
