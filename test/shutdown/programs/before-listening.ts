// The signal comes before the server listens, which it then does all the same.
import { createServer } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { gracefulShutdown, ProbeRegistry } from 'koa-probes';
import { announce } from './application.js';

const server = createServer((_request, response) => response.end('late'));
const probes = new ProbeRegistry();
gracefulShutdown(server, probes, { drainDelayMs: 0, timeoutMs: 10_000 });
console.log('about to listen');
await pause(60_000, undefined, { signal: probes.lifecycle.shutdownSignal }).catch(() => {});
await probes.lifecycle.track(listenLate(), 'start');

async function listenLate(): Promise<void> {
  await pause(200);
  server.listen(0, '127.0.0.1', () => announce(server));
  await pause(200);
  console.log(`still listening: ${String(server.listening)}`);
}
