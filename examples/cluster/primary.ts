// The primary: it starts the workers, replaces those that end or are blocked, and answers the probes for all of them.
import cluster from 'node:cluster';
import { fileURLToPath } from 'node:url';
import { gracefulShutdown, probeServer } from 'koa-probes';
import { clusterProbes } from 'koa-probes/cluster';

cluster.setupPrimary({ exec: fileURLToPath(new URL('server.js', import.meta.url)) });
export const probes = clusterProbes({
  workers: Number(process.env['WORKERS'] ?? 2),
  minReady: 1, // one can carry the load while the other is replaced
  deadAfterMs: Number(process.env['DEAD_AFTER_MS'] ?? 30_000), // a worker that is blocked for so long is replaced
});
gracefulShutdown([], probes); // a signal ends the workers first, then this process
await probeServer(probes, { port: Number(process.env['MANAGEMENT_PORT'] ?? 9090) });
