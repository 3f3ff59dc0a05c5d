/** 500 probes while the event loop is blocked for 5 s, and what the thread costs that answers them. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { get } from 'node:http';
import { Worker } from 'node:worker_threads';
import { SessionFlag } from '../dist/thread/session-flag.js';
import { interleave, median, report } from './support.js';

const ROUNDS = 5;
const BLOCK_MS = 5_000;
const PROBES = 500;
const WITHIN_MS = 50;

/** The defaults, and how exactly the thread sees the beginning of a block. */
const NOT_READY_AFTER_MS = 1_000;
const LOOKS_EVERY_MS = 250;

const IDLE_MS = 5_000;
const COST_ROUNDS = 5;

const figure = { bench: 'blocked', rounds: ROUNDS };

const blocks = [];
for (let round = 0; round < ROUNDS; round += 1) blocks.push(await measureBlock());
const print = (name, unit, read, target) =>
  report({ ...figure, case: name, unit, value: median(blocks.map(read)), ...target, each: blocks.map(read) });
print('probes that were answered within 50 ms', 'of 500', ({ inTime }) => inTime, { atLeast: PROBES });
print('probes that were answered as the table says', 'of 500', ({ right }) => right, { atLeast: PROBES });
print('time to answer, median', 'ms', ({ times }) => median(times));
print('time to answer, 99th percentile', 'ms', ({ times }) => times.toSorted((a, b) => a - b)[Math.floor(PROBES * 0.99)]);
print('time to answer, longest', 'ms', ({ times }) => Math.max(...times));

for (const [name, block] of Object.entries({
  'a loop': (ms) => {
    const endsAt = performance.now() + ms;
    while (performance.now() < endsAt);
  },
  'an expression that backtracks': (ms) => {
    const endsAt = performance.now() + ms;
    while (performance.now() < endsAt) /^(?:a+)+$/.test(`${'a'.repeat(22)}b`);
  },
})) {
  const times = await measureStacks(block);
  report({ ...figure, case: `time to the stack of ${name}`, unit: 'ms', value: median(times), atMost: 30, each: times });
}

const costs = await interleave(COST_ROUNDS, { without: () => measureCost(false), with: () => measureCost(true) }, { warmUpRounds: 0 });
const cost = { bench: 'blocked', rounds: COST_ROUNDS };
const printCost = (name, unit, read) => report({ ...cost, case: `the thread: ${name}`, unit, value: median(costs.map(read)) });
printCost('memory', 'MB', (round) => (round.with.rssBytes - round.without.rssBytes) / 1e6);
printCost('processor time of its start', 'ms', (round) => round.with.startCpuMs - round.without.startCpuMs);
printCost('time until it listens', 'ms', (round) => round.with.startMs - round.without.startMs);
printCost('processor while nobody asks', '% of a core', (round) => round.with.percent - round.without.percent);

/** Probes of both kinds, one every 10 ms, each on a connection of its own as with the kubelet, from before the block to its end. */
async function measureBlock() {
  const server = startServer();
  const { port } = await server.ask('open', { thread: true });
  for (const path of ['/livez', '/readyz']) await probe(port, path);
  const over = server.ask('block', { ms: BLOCK_MS });
  const beganAt = performance.now();
  const answers = [];
  for (let number = 0; number < PROBES; number += 1) {
    const dueAt = beganAt + (number * BLOCK_MS) / PROBES;
    if (dueAt > performance.now()) await new Promise((resolve) => setTimeout(resolve, dueAt - performance.now()));
    const path = number % 2 === 0 ? '/livez' : '/readyz';
    const sinceMs = performance.now() - beganAt;
    answers.push(probe(port, path).then((answer) => ({ ...answer, path, sinceMs })));
  }
  const all = await Promise.all(answers);
  await over;
  server.stop();
  return {
    times: all.map(({ ms }) => ms),
    inTime: all.filter(({ ms }) => ms <= WITHIN_MS).length,
    right: all.filter(isRight).length,
  };
}

function isRight({ path, sinceMs, status }) {
  if (path === '/livez') return status === 200;
  if (sinceMs < NOT_READY_AFTER_MS) return status === 200;
  return status === 503 || (status === 200 && sinceMs < NOT_READY_AFTER_MS + LOOKS_EVERY_MS);
}

function probe(port, path) {
  const startedAt = performance.now();
  return new Promise((resolve) => {
    get({ port, path, host: '127.0.0.1', agent: false }, (response) => {
      response.resume().once('end', () => resolve({ status: response.statusCode, ms: performance.now() - startedAt }));
    }).once('error', () => resolve({ status: 0, ms: Infinity }));
  });
}

/** As the thread takes it, here. */
async function measureStacks(block) {
  const code = `
    const { parentPort, workerData } = require('node:worker_threads');
    setInterval(() => {}, 1_000);
    import(workerData.module).then(async ({ takeMainStack }) => {
      const { SessionFlag } = await import(workerData.flagModule);
      const flag = new SessionFlag(workerData.memory);
      const times = [];
      parentPort.once('message', async () => {
        for (let round = 0; round < ${ROUNDS}; round += 1) {
          await new Promise((resolve) => setTimeout(resolve, 100));
          const startedAt = performance.now();
          const stack = await takeMainStack(flag);
          if (!stack.includes('blocked.js')) throw new Error('It is not the stack of the block: ' + stack);
          times.push(performance.now() - startedAt);
        }
        parentPort.postMessage(times);
      });
      parentPort.postMessage('ready');
    });`;
  const url = (file) => new URL(`../dist/${file}`, import.meta.url).href;
  const workerData = { module: url('worker/main-stack.js'), flagModule: url('thread/session-flag.js'), memory: new SessionFlag().memory };
  const worker = new Worker(code, { eval: true, workerData });
  await once(worker, 'message');
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has none
  worker.postMessage('begin');
  const measured = once(worker, 'message');
  block(ROUNDS * 100 + 500);
  const [times] = await measured;
  await worker.terminate();
  return times;
}

/** A process for each: what it has once loaded costs nothing any more. */
async function measureCost(thread) {
  const server = startServer();
  const opened = await server.ask('open', { thread });
  await probe(opened.port, '/readyz');
  await server.ask('idle', { ms: 1_000 });
  const idle = await server.ask('idle', { ms: IDLE_MS });
  server.stop();
  return { ...opened, ...idle };
}

function startServer() {
  const child = fork(new URL('blocked-server.js', import.meta.url), { execArgv: ['--expose-gc'] });
  return {
    async ask(command, options) {
      child.send({ command, ...options });
      const [answer] = await once(child, 'message');
      return answer;
    },
    stop: () => child.kill(),
  };
}
