// The application has closed its server itself before the signal.
import { once } from 'node:events';
import { gracefulShutdown } from 'koa-probes';
import { startApplication } from './application.js';

const { server, probes } = await startApplication();
const shutdown = gracefulShutdown(server, probes, { drainDelayMs: 0, timeoutMs: 10_000 });
shutdown.onShutdown('database', () => console.log('database closed'));
server.close();
await once(server, 'close');
setInterval(() => {}, 1_000);
console.log('closed');
