// No server: a job in flight, one that listens to the signal, and one that is held by hand.
import { setTimeout as pause } from 'node:timers/promises';
import { gracefulShutdown, ProbeRegistry } from 'koa-probes';

const probes = new ProbeRegistry();
const { lifecycle } = probes;
const shutdown = gracefulShutdown([], probes, { timeoutMs: 10_000 });
shutdown.onClosing('consumer', () => console.log('consumer stopped'));
shutdown.onShutdown('database', () => console.log('database closed'));
const release = lifecycle.holdShutdown('held');
void lifecycle.track(work(), 'export');
console.log('working');

async function work(): Promise<void> {
  await pause(60_000, undefined, { signal: lifecycle.shutdownSignal }).catch((error: Error) => console.log(error.name));
  await pause(300);
  console.log('export done');
  release();
  release();
}
