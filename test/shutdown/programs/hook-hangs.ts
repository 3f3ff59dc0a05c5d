// A hook that never ends, and nothing else that would keep the process alive.
import { gracefulShutdown } from 'koa-probes';
import { announce, startApplication } from './application.js';

const { server, probes } = await startApplication();
const shutdown = gracefulShutdown(server, probes, { drainDelayMs: 0, timeoutMs: 800 });
shutdown.onShutdown('never reached', () => console.log('never reached'));
shutdown.onShutdown('database', () => new Promise(() => {}));
announce(server);
