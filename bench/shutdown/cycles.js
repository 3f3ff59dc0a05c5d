/** One process in which server, registry and graceful shutdown come and go. Says what is there after each cycle. */
import { channel } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { gracefulShutdown, ProbeRegistry } from '../../dist/index.js';
import { createApp } from './app.js';

const CHANNELS = ['http.server.request.start', 'http.server.response.finish'];
const READINGS = 5;

/** Of cycles that are over. */
let remains = [];
let current;

const commands = {
  async begin() {
    const probes = new ProbeRegistry({ logger: false });
    const server = createApp().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const before = countListeners(server);
    const shutdown = gracefulShutdown(server, probes, { drainDelayMs: 200, timeoutMs: 10_000, exit: false });
    current = { probes, server, shutdown, before };
    return { port: server.address().port };
  },

  async terminate() {
    process.kill(process.pid, 'SIGTERM');
    const { probes, server, shutdown, before } = current;
    while (probes.lifecycle.state !== 'draining') await pause(5);
    await shutdown.shutdown();
    const serverListeners = countListeners(server) - before;
    remains.push(new WeakRef(shutdown), new WeakRef(probes), new WeakRef(server));
    current = undefined;
    return { serverListeners };
  },

  count: async ({ serverListeners }) => {
    const heapUsed = await measureHeap();
    remains = remains.filter((reference) => reference.deref() !== undefined);
    const resources = process.getActiveResourcesInfo();
    return {
      heapUsed,
      counts: {
        'listeners of process': countListeners(process),
        'listeners of the server': serverListeners,
        'channels with subscribers': CHANNELS.filter((name) => channel(name).hasSubscribers).length,
        timers: resources.filter((name) => name === 'Timeout').length,
        'active resources': resources.length,
        'open files and sockets': readdirSync('/proc/self/fd').length,
        'objects of cycles that are over': remains.length,
      },
    };
  },
};

function countListeners(emitter) {
  return emitter.eventNames().reduce((count, name) => count + emitter.listenerCount(name), 0);
}

/** The least of some readings: the collector counts a page that it has not swept yet as full. */
async function measureHeap() {
  const readings = [];
  for (let reading = 0; reading < READINGS; reading += 1) {
    await pause(5);
    globalThis.gc();
    readings.push(process.memoryUsage().heapUsed);
  }
  return Math.min(...readings);
}

process.on('message', ({ command, ...options }) => {
  void Promise.resolve(commands[command](options)).then((answer) => process.send(answer));
});
process.on('disconnect', () => process.exit());
