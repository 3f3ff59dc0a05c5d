/** Start, load, SIGTERM and exit, again and again: first one process after the other, then many servers in one process. Fails where something is left behind. */
import { fork } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { ask, startClient, startPod } from './shutdown/rollout.js';
import { report } from './support.js';

const LOAD = 'short';
const LOAD_MS = 200;
const DELAY_MS = 200;

/** What is there after so many cycles is what there is to be at the end. */
const SETTLED_AFTER = 10;

/** Bytes of heap a cycle, over the second half: what Node itself learns of its code is less by then, though never nothing. */
const SLOPE_AT_MOST = 256;

/** Code that is made faster on the way would count as memory that is kept. */
const INTERPRET = ['--no-opt', '--no-sparkplug', '--no-flush-bytecode'];

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '10' }, json: { type: 'boolean' } } });
const halfMs = Number(values.minutes) * 30_000;

const client = startClient();
let isLeaking = false;
await soakProcesses();
await soakInstalls();
client.stop();
if (isLeaking) process.exitCode = 1;

async function soakProcesses() {
  const pids = [];
  const ports = [];
  let sent = 0;
  let failed = 0;
  let failedExits = 0;
  for (const endsAt = performance.now() + halfMs; performance.now() < endsAt;) {
    const pod = await startPod('koa-probes', DELAY_MS);
    pids.push(pod.pid);
    ports.push(pod.port);
    await client.ask('begin', { load: LOAD, port: pod.port });
    await pause(LOAD_MS);
    pod.signal();
    const outcome = await client.ask('end');
    const { code } = await pod.exited;
    sent += outcome.sent;
    failed += outcome.failures.length;
    failedExits += code === 0 ? 0 : 1;
  }
  await pause(1_000);
  print('processes', pids.length);
  print('processes: requests', sent);
  print('processes: failed requests', failed, 0);
  print('processes: exits that were not 0', failedExits, 0);
  print('processes: still there', pids.filter((pid) => existsSync(`/proc/${pid}`)).length, 0);
  print('processes: sockets still there', countSockets(new Set(ports)), 0);
}

async function soakInstalls() {
  const child = fork(new URL('shutdown/cycles.js', import.meta.url), { execArgv: ['--expose-gc', ...INTERPRET] });
  const cycles = [];
  let sent = 0;
  let failed = 0;
  for (const endsAt = performance.now() + halfMs; performance.now() < endsAt;) {
    const { port } = await ask(child, 'begin');
    await client.ask('begin', { load: LOAD, port });
    await pause(LOAD_MS);
    const [outcome, terminated] = await Promise.all([client.ask('end'), ask(child, 'terminate')]);
    cycles.push(await ask(child, 'count', terminated));
    sent += outcome.sent;
    failed += outcome.failures.length;
  }
  child.disconnect();
  const settled = cycles[Math.min(SETTLED_AFTER, cycles.length) - 1].counts;
  const last = cycles.at(-1);
  print('installs', cycles.length);
  print('installs: requests', sent);
  print('installs: failed requests', failed, 0);
  for (const [name, count] of Object.entries(last.counts)) print(`installs: ${name}`, count, settled[name]);
  const heap = cycles.slice(cycles.length >> 1).map(({ heapUsed }) => heapUsed);
  print('installs: heap a cycle', slope(heap), SLOPE_AT_MOST, 'bytes');
  print('installs: heap at the end', last.heapUsed / 1_000, undefined, 'kB');
}

function print(name, value, atMost, unit = '') {
  report({ bench: 'soak', case: name, unit, value, ...(atMost !== undefined && { atMost }), rounds: 1 });
  if (value > (atMost ?? Infinity)) isLeaking = true;
}

/** Of these ports, on either side, but for the kernel's memory of what was closed, which goes by itself. */
function countSockets(ports) {
  const TIME_WAIT = '06';
  const [, ...lines] = readFileSync('/proc/net/tcp', 'utf8').trim().split('\n');
  return lines
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local, remote, state]) => state !== TIME_WAIT && (ports.has(readPort(local)) || ports.has(readPort(remote)))).length;
}

function readPort(address) {
  return Number.parseInt(address.slice(address.indexOf(':') + 1), 16);
}

/** Of the line through the values that leaves the least squares: what one more cycle adds. */
function slope(numbers) {
  const meanIndex = (numbers.length - 1) / 2;
  const mean = numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
  let above = 0;
  let below = 0;
  for (const [index, number] of numbers.entries()) {
    above += (index - meanIndex) * (number - mean);
    below += (index - meanIndex) ** 2;
  }
  return above / below;
}
