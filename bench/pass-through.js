/** What the middleware adds to a request that is not a probe, over a layer in its place that does nothing. */
import { IncomingMessage, ServerResponse } from 'node:http';
import Router from '@koa/router';
import Koa from 'koa';
import { probeMiddleware } from '../dist/index.js';
import { pass } from './checks.js';
import { createRegistry, mountHealthConnect, PATH } from './subjects.js';
import { interleave, median, report } from './support.js';

const ROUNDS = 4_000;

/** A round is one batch a layer: few enough contexts to stay in the processor's cache, where a request is that was just parsed. */
const BATCH_SIZE = 32;

const MEMORY_ROUNDS = 31;
const CALLS_FOR_MEMORY = 5_000;

const URLS = {
  '/': '/',
  '/api/users': '/api/users',
  '/readings/7': '/readings/7',
  '1,500 characters': `/api/users?filter=${'a'.repeat(1_482)}`,
};

const app = new Koa();
const done = Promise.resolve();
const handOn = () => done;

const passOn = (_ctx, next) => next();
const ours1000 = probeMiddleware(createRegistry(Array(1_000).fill(pass)));
const layers = {
  'koa-probes, 0 probes': probeMiddleware(createRegistry([])),
  'koa-probes, 1,000 probes': ours1000,
  '@koa/router, 1 route': new Router().get(PATH, (ctx) => (ctx.body = 'ok')).routes(),
  '@cloudnative/health-connect, 1 mount': mountHealthConnect([pass]),
};

for (const [label, url] of Object.entries(URLS)) {
  const bytes = Buffer.from(url, 'latin1');
  const runs = Object.fromEntries(
    Object.entries({ noOp: passOn, ...layers }).map(([name, layer]) => [name, () => timeBatch(layer, bytes)]),
  );
  const rounds = await interleave(ROUNDS, runs, { warmUpRounds: ROUNDS / 4 });
  const figure = { bench: 'pass-through', unit: 'ns/request', rounds: ROUNDS };
  report({ ...figure, case: `${label}: no-op layer, whole`, value: median(rounds.map((values) => values.noOp)) });
  for (const name of Object.keys(layers)) {
    const added = median(rounds.map((values) => values[name] - values.noOp));
    report({ ...figure, case: `${label}: ${name}`, value: added, ...(name.startsWith('koa-probes') && { atMost: 25 }) });
  }
  const memory = await interleave(MEMORY_ROUNDS, { noOp: () => measureMemory(passOn, bytes), ours: () => measureMemory(ours1000, bytes) });
  const allocated = median(memory.map(({ ours, noOp }) => ours - noOp));
  report({ ...figure, case: `${label}: koa-probes, allocated`, unit: 'bytes/request', value: allocated, atMost: 0, rounds: MEMORY_ROUNDS });
}

/** Nanoseconds a request, what the layer leaves to the microtasks included. */
async function timeBatch(layer, bytes) {
  const contexts = Array.from({ length: BATCH_SIZE }, () => createContext(bytes));
  const startedAt = performance.now();
  const last = passAll(layer, contexts);
  await last;
  return ((performance.now() - startedAt) * 1e6) / BATCH_SIZE;
}

function measureMemory(layer, bytes) {
  const contexts = Array.from({ length: CALLS_FOR_MEMORY }, () => createContext(bytes));
  globalThis.gc();
  const before = process.memoryUsage().heapUsed;
  passAll(layer, contexts);
  return (process.memoryUsage().heapUsed - before) / CALLS_FOR_MEMORY;
}

function passAll(layer, contexts) {
  let last;
  for (const ctx of contexts) {
    last = layer(ctx, handOn);
    if (last === undefined) throw new Error('the layer answered');
  }
  return last;
}

/** The URL is a string that nobody has seen, flat and not internalized, as the HTTP parser makes it. */
function createContext(bytes) {
  const request = new IncomingMessage(null);
  request.method = 'GET';
  request.url = bytes.latin1Slice(0, bytes.length);
  return app.createContext(request, new ServerResponse(request));
}
