// An error that nobody catches, with a request in flight: an exception on one signal, a rejection on another.
import { gracefulShutdown } from 'koa-probes';
import { announce, startApplication } from './application.js';

const { server, probes } = await startApplication();
const shutdown = gracefulShutdown(server, probes, { drainDelayMs: 0, timeoutMs: 10_000, uncaughtErrors: process.env['CATCH'] === 'yes' });
shutdown.onShutdown('database', () => console.log('database closed'));
process.once('SIGUSR2', () => void Promise.reject(new Error('nobody has caught this')));
process.once('SIGHUP', () => {
  throw new Error('nobody has caught this');
});
announce(server);
