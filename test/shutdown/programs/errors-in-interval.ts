// An interval that throws the same error again and again, with a request in flight.
import { gracefulShutdown } from 'koa-probes';
import { announce, startApplication } from './application.js';

const { server, probes } = await startApplication();
gracefulShutdown(server, probes, { drainDelayMs: 0, timeoutMs: 10_000, uncaughtErrors: true });
process.once('SIGUSR2', () => {
  setInterval(() => {
    throw new Error('nobody has caught this');
  }, 20);
});
announce(server);
