// A shutdown that the application begins itself; then a signal.
import { gracefulShutdown } from 'koa-probes';
import { announce, startApplication } from './application.js';

const { server, probes } = await startApplication();
const shutdown = gracefulShutdown(server, probes, { drainDelayMs: 0, timeoutMs: 10_000 });
probes.on('shutdown', ({ phase, reason, requests }) => console.log(`event ${phase} by ${reason} with ${String(requests)} in flight`));
process.once('SIGUSR2', () => void shutdown.shutdown('a new release'));
announce(server);
