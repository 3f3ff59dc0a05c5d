// A process whose probes a thread answers. Its own port takes commands: `/block?by=loop&ms=500` blocks its event loop.
import { execFileSync } from 'node:child_process';
import { createServer } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import {
  discoverProbes,
  gracefulShutdown,
  NotReady,
  probeHeartbeat,
  ProbeRegistry,
  probeServer,
  type ProbeHeartbeatOptions,
  type ProbeServerOptions,
} from 'koa-probes';

/** By what the event loop is blocked, each for about so many milliseconds. */
const blockers: Record<string, (ms: number) => unknown> = {
  loop: function busyLoop(ms) {
    const endsAt = performance.now() + ms;
    let sum = 0;
    while (performance.now() < endsAt) for (let left = 100_000; left > 0; left -= 1) sum += Math.sqrt(left);
    return sum;
  },
  regexp: function backtrack(ms) {
    const endsAt = performance.now() + ms;
    while (performance.now() < endsAt) /^(?:a+)+$/.test(`${'a'.repeat(22)}b`);
  },
  call: function sleepOutside(ms) {
    execFileSync('sleep', [String(ms / 1_000)]);
  },
  wait: function waitForNobody(ms) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  },
  garbage: function fillHeap(ms) {
    const endsAt = performance.now() + ms;
    let list: object[] = [];
    while (performance.now() < endsAt) {
      if (list.length > 300_000) list = [];
      list.push({ list: [list.length] });
    }
  },
  promises: async function chainPromises(ms) {
    const endsAt = performance.now() + ms;
    while (performance.now() < endsAt) await takeRoots();
  },
};

async function takeRoots() {
  for (let left = 10_000; left > 0; left -= 1) Math.sqrt(left);
}

function pauseHere() {
  // oxlint-disable-next-line no-debugger -- for a test with a debugger
  debugger;
  console.log('went on');
}

let hookCalls = 0;
if (process.env['HOOK'] !== undefined) {
  Error.stackTraceLimit = 3;
  Error.prepareStackTrace = () => (hookCalls += 1);
}

/** From the environment, as JSON. */
const readOptions = (name: string): unknown => JSON.parse(process.env[name] ?? 'null');

const probes = new ProbeRegistry(process.env['SILENT'] === undefined ? {} : { logger: false });
let problem: Error | undefined;
let isHanging = false;
probes.register({
  name: 'search',
  kinds: ['readiness'],
  check() {
    if (problem !== undefined) throw problem;
    if (!isHanging) return { shards: 3 };
    console.log('search hangs');
    return new Promise(() => {});
  },
});
probes.register({ name: 'mail', kinds: ['readiness'], critical: false, check: () => Promise.reject(new Error('secret')) });
if (process.env['DEACTIVATION_MS'] !== undefined) probes.register({ name: 'worker', kinds: ['liveness'], check() {} });
probes.on('block', (block) => console.log(`block ${JSON.stringify(block)}`));

const server = createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? '', 'http://localhost');
  // The answer first: whoever asks must not wait for the end of the block.
  response.end('begins', () => setImmediate(() => commands[pathname.slice(1)]?.(searchParams)));
});

const commands: Record<string, (query: URLSearchParams) => unknown> = {
  block: (query) => blockers[query.get('by') ?? 'loop']?.(Number(query.get('ms'))),
  break: () => (problem = new NotReady('search is down')),
  drain: () => probes.lifecycle.drain(),
  hang: () => (isHanging = true),
  unlive: () => probes.lifecycle.setLive(false, 'stuck'),
  'change-and-block': (query) => {
    probes.lifecycle.setReady(false, 'maintenance');
    probes.register({ name: 'late', kinds: ['readiness'], check() {} });
    blockers['loop']?.(Number(query.get('ms')));
  },
  breakpoint: pauseHere,
  'describe-error': () => console.log(`hook calls: ${String(hookCalls)}, limit: ${String(Error.stackTraceLimit)}`),
  exit: () => process.exit(0),
  'block-and-exit': (query) => {
    blockers[query.get('by') ?? 'loop']?.(Number(query.get('ms')));
    process.exit(0);
  },
};

const deactivationMs = process.env['DEACTIVATION_MS'];
if (deactivationMs !== undefined) {
  gracefulShutdown(server, probes, { drainDelayMs: 0 });
  // Late: it cannot be loaded with `--frozen-intrinsics`.
  const { Container } = await import('inversify');
  const container = new Container();
  container
    .bind('database')
    .toConstantValue({})
    .onDeactivation(() => pause(Number(deactivationMs)));
  container.get('database');
  await discoverProbes(container, { registry: probes });
}
const heartbeat = readOptions('HEARTBEAT') as ProbeHeartbeatOptions | null;
if (heartbeat !== null) probeHeartbeat(probes, { ...heartbeat, thread: true });
const options = readOptions('SERVER') as ProbeServerOptions | null;
if (options !== null) await probeServer(probes, { ...options, thread: true });
server.listen(Number(process.env['PORT']), '127.0.0.1', () => console.log('listens'));
