// A worker of the tests. It does to itself what it is asked to, and answers with its process ID.
import { createServer } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { gracefulShutdown, NotReady, ProbeRegistry, type ShutdownOptions } from 'koa-probes';
import { reportToPrimary } from 'koa-probes/cluster';

const probes = new ProbeRegistry();
const { lifecycle } = probes;
const pid = String(process.pid);

const acts: Record<string, (argument: string) => unknown> = {
  '/': (ms) => pause(Number(ms)),
  '/slow': (ms) => pause(Number(ms)),
  '/block': (ms) => block(Number(ms)),
  '/crash': () => process.exit(3),
  '/fail-liveness': () => lifecycle.setLive(false, 'the consumer is stuck'),
  '/leave': () => process.kill(process.pid, 'SIGTERM'),
  '/close': () => probes.close(),
  '/disconnect': () => process.disconnect(),
};

const server = createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? '', 'http://localhost');
  void (async () => {
    if (pathname !== '/') console.log(`worker ${pid} does ${pathname}`);
    await acts[pathname]?.(searchParams.get('with') ?? searchParams.get('ms') ?? '');
    response.end(pid);
  })();
});
server.keepAliveTimeout = 60_000;
server.on('close', () => console.log(`worker ${pid} says that its server is closed`));

function block(ms: number): void {
  const endsAt = performance.now() + ms;
  while (performance.now() < endsAt);
  console.log(`worker ${pid} turns again`);
}

let isReady = true;
let isWarm = process.env['STARTS_COLD'] === undefined;
process.on('SIGUSR2', () => lifecycle.setReady((isReady = !isReady), 'switched off'));
process.on('SIGHUP', () => (isWarm = true));
probes.register({
  name: 'cache',
  kinds: ['startup'],
  check() {
    if (!isWarm) throw new NotReady('the cache is cold');
  },
});

if (process.env['UNGRACEFUL_WORKER'] === undefined) {
  const options = JSON.parse(process.env['WORKER_SHUTDOWN'] ?? '{}') as ShutdownOptions;
  const shutdown = gracefulShutdown(server, probes, options);
  shutdown.onShutdown('hook', () => {
    if (process.env['HOOK'] === 'fails') throw new Error('the hook fails');
    return process.env['HOOK'] === 'hangs' ? new Promise(() => {}) : undefined;
  });
}
if (process.env['IGNORES_SIGTERM'] !== undefined) process.on('SIGTERM', () => {});
reportToPrimary(server, probes);
server.listen({ port: Number(process.env['PORT'] ?? 0), host: '127.0.0.1' }, () => console.log(`worker ${pid} listens`));
