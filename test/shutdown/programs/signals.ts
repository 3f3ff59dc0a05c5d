// What a repeated signal does, by default or as the environment says.
import { gracefulShutdown, type ShutdownOptions } from 'koa-probes';
import { announce, startApplication } from './application.js';

const decisions: Record<string, ShutdownOptions['onRepeatedSignal']> = {
  exit: () => 'exit',
  continue: () => 'continue',
  throw: () => {
    throw new Error('undecided');
  },
};
const { server, probes } = await startApplication();
const shutdown = gracefulShutdown(server, probes, {
  drainDelayMs: 0,
  timeoutMs: 15_000,
  onRepeatedSignal: decisions[process.env['REPEATED'] ?? ''],
});
shutdown.onShutdown('database', () => console.log('database closed'));
process.once('SIGUSR2', () => void shutdown.shutdown('a new release'));
process.on('exit', (code) => console.log(`exit code ${String(code)}`));
console.log(`process ${String(process.pid)}`);
announce(server);
