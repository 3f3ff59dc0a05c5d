// In a worker thread, first with the signals of its default and then without any.
import { isMainThread, Worker } from 'node:worker_threads';
import { gracefulShutdown, ProbeRegistry } from 'koa-probes';

if (isMainThread) {
  new Worker(new URL(import.meta.url)).on('error', (error) => console.error(error));
} else {
  const probes = new ProbeRegistry();
  try {
    gracefulShutdown([], probes);
  } catch (error) {
    console.log(String(error));
  }
  const shutdown = gracefulShutdown([], probes, { signals: [], exit: false });
  shutdown.onShutdown('database', () => console.log('database closed'));
  console.log(`the code is ${String(await shutdown.shutdown())}`);
}
