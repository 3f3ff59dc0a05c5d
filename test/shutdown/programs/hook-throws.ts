// Two of three hooks fail, each in its way.
import { gracefulShutdown } from 'koa-probes';
import { announce, startApplication } from './application.js';

const { server, probes } = await startApplication();
const shutdown = gracefulShutdown(server, probes, { drainDelayMs: 0, timeoutMs: 10_000 });
shutdown.onShutdown('database', () => console.log('database closed'));
shutdown.onShutdown('cache', () => Promise.reject(new Error('the cache is gone')));
shutdown.onShutdown('queue', () => {
  throw new Error('the queue is gone');
});
announce(server);
