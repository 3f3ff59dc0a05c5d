// The primary of the tests. What the workers run, and what they are told, is in its environment.
import cluster, { type ClusterSettings } from 'node:cluster';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { gracefulShutdown, probeServer, type ShutdownOptions } from 'koa-probes';
import { clusterProbes, type ClusterOptions } from 'koa-probes/cluster';

const read = <T>(name: string): Partial<T> => JSON.parse(process.env[name] ?? '{}') as Partial<T>;

const program = process.env['WORKER_PROGRAM'] ?? 'worker.js';
cluster.setupPrimary({ exec: fileURLToPath(new URL(program, import.meta.url)), ...read<ClusterSettings>('SETTINGS') });
const probes = clusterProbes({ workers: 2, ...read<ClusterOptions>('CLUSTER') });
if (process.env['UNGRACEFUL'] === undefined) {
  const shutdown = gracefulShutdown([], probes, read<ShutdownOptions>('PRIMARY_SHUTDOWN'));
  shutdown.onShutdown('last', () => console.log('the primary ends'));
}

// Something of an application that keeps the primary from its work.
process.on('SIGUSR2', () => {
  const endsAt = performance.now() + Number(process.env['BLOCK_MS'] ?? 0);
  while (performance.now() < endsAt);
  console.log('the primary turns again');
});
process.on('SIGHUP', () => {
  throw new Error('the primary crashes');
});

const server = await probeServer(probes, { port: 0, host: '127.0.0.1' });
console.log(`probes on ${String((server.address() as AddressInfo).port)}`);
const [, { port }] = (await once(cluster, 'listening')) as [unknown, { port: number }];
console.log(`serves on ${String(port)}`);
