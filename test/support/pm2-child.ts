// Does with examples/cluster/server.ts what pm2 in cluster mode does: it starts the processes with their numbers, replaces those that end, and hands the signal on.
import cluster from 'node:cluster';
import { fileURLToPath } from 'node:url';

const RESTART_AFTER_MS = 1_000;

const workers = Number(process.env['WORKERS'] ?? 2);
let isStopping = false;

cluster.setupPrimary({ exec: fileURLToPath(new URL('../../examples/cluster/server.js', import.meta.url)) });
for (let instance = 0; instance < workers; instance += 1) startWorker(String(instance));

function startWorker(instance: string): void {
  if (isStopping) return;
  const worker = cluster.fork({ NODE_APP_INSTANCE: instance }); // pm2 sets a variable of the same name
  worker.once('exit', (code, signal) => {
    console.log(`worker ${instance} ended (${signal || String(code)})`);
    if (isStopping) process.exitCode ||= code ?? 1;
    else setTimeout(startWorker, RESTART_AFTER_MS, instance);
  });
}

// This process ends when its last worker has ended.
process.on('SIGTERM', () => {
  isStopping = true;
  for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill('SIGTERM');
});
// A terminal sends it to the workers as well.
process.on('SIGINT', () => {
  isStopping = true;
});
