/** A pod of several processes: `node cluster.js <subject> <delayMs>` starts them, and says on which port they serve when all of them are ready. */
import cluster from 'node:cluster';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { clusterProbes, reportToPrimary } from '../../dist/cluster/cluster.js';
import { ProbeRegistry, gracefulShutdown } from '../../dist/index.js';
import { createApp } from './app.js';

const WORKERS = 2;

/** As in server.js. */
const BACKLOG = 2_048;

if (cluster.isPrimary) await lead();
else serve(Number(process.argv[3]));

async function lead() {
  const probes = clusterProbes({ workers: WORKERS, logger: false });
  gracefulShutdown([], probes);
  const [, { port }] = await once(cluster, 'listening');
  while (probes.status('startup').status !== 'pass') await pause(10);
  console.log(port);
}

function serve(drainDelayMs) {
  const probes = new ProbeRegistry({ logger: false });
  const answer = createApp().callback();
  const server = createServer((request, response) => void answer(request, response));
  gracefulShutdown(server, probes, { drainDelayMs, timeoutMs: 15_000 });
  reportToPrimary(server, probes);
  server.listen({ port: 0, host: '127.0.0.1', backlog: BACKLOG });
}
