// Uses what is for workers wrongly, and says what it is told. Without a primary of `clusterProbes()` it is its own, which watches nothing.
import cluster from 'node:cluster';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { ProbeRegistry } from 'koa-probes';
import { clusterProbes, reportToPrimary } from 'koa-probes/cluster';

const probes = new ProbeRegistry({ logger: false });
const server = createServer();

const misuses: Record<string, () => unknown> = {
  clusterProbes: () => clusterProbes({ workers: 2 }),
  unwatched: () => reportToPrimary(server, probes),
  twice() {
    reportToPrimary(server, probes);
    reportToPrimary([], probes);
  },
  async listening() {
    await once(server.listen(0, '127.0.0.1'), 'listening');
    reportToPrimary(server, probes);
  },
  closed() {
    probes.close();
    reportToPrimary(server, probes);
  },
};

if (cluster.isPrimary) cluster.fork();
else {
  try {
    await misuses[process.env['MISUSE'] ?? '']?.();
    console.log('nothing was said');
  } catch (error) {
    console.log(String(error));
  }
  process.exit();
}
