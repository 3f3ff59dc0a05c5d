/** What a rolling update does, with processes of its own for each pod and for the clients. */
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { now } from './clock.js';
import { LATE_MS, loads } from './loads.js';

/** When a pod is killed. Kubernetes waits for 30 s unless it is told otherwise. */
const GRACE_MS = 10_000;

/** Subjects with a program of their own. */
const PROGRAMS = { 'koa-probes with node:cluster': 'cluster.js' };

/** As a shell says it: 143 is SIGTERM, 137 SIGKILL. */
const SIGNAL_CODES = { SIGTERM: 143, SIGKILL: 137 };

/**
 * One pod is replaced under load.
 *
 * @typedef {{ sent: number, failures: { reason: string, afterMs: number }[], exits: { code: number, exitMs: number, floorMs: number }[] }} Outcome
 * @returns {Promise<Outcome>}
 */
export function rollOut(subject, load, delayMs) {
  return restart(subject, load, delayMs, 1);
}

/**
 * Pods are replaced one after the other, while the load goes on.
 *
 * @returns {Promise<Outcome>}
 */
export async function restart(subject, load, delayMs, times) {
  const client = startClient();
  const replaced = new Map();
  let pod = await startPod(subject, delayMs);
  try {
    await client.ask('begin', { load, port: pod.port });
    for (let time = 0; time < times; time += 1) {
      const [successor] = await Promise.all([startPod(subject, delayMs), pause(loads[load].warmUpMs)]);
      replaced.set(pod.port, await replace(client, pod, successor));
      pod = successor;
    }
    return summarize(await client.ask('end'), replaced, delayMs);
  } finally {
    pod.kill();
    client.stop();
  }
}

/** The successor is ready; the old pod gets the signal, and the balancer hears of it later. */
async function replace(client, pod, successor) {
  const signalledAt = now();
  pod.signal();
  const moved = client.ask('move', { port: successor.port, at: signalledAt + LATE_MS });
  const killing = setTimeout(() => pod.kill(), GRACE_MS);
  const exit = await pod.exited;
  clearTimeout(killing);
  await moved;
  return { signalledAt, ...exit };
}

function summarize({ sent, failures, lastAnswersAt }, replaced, delayMs) {
  return {
    sent,
    failures: failures.map(({ reason, port, at }) => ({ reason, afterMs: at - (replaced.get(port)?.signalledAt ?? at) })),
    exits: Array.from(replaced, ([port, { signalledAt, exitedAt, code }]) => ({
      code,
      exitMs: exitedAt - signalledAt,
      floorMs: Math.max(delayMs, (lastAnswersAt[port] ?? 0) - signalledAt),
    })),
  };
}

export async function startPod(subject, delayMs) {
  const { NODE_EXTRA_CA_CERTS: _, NODE_V8_COVERAGE: __, ...env } = process.env;
  const file = fileURLToPath(new URL(PROGRAMS[subject] ?? 'server.js', import.meta.url));
  const child = spawn(process.execPath, [file, subject, String(delayMs)], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const exited = once(child, 'exit').then(([code, signal]) => {
    process.off('exit', kill);
    return { code: code ?? SIGNAL_CODES[signal], exitedAt: now() };
  });
  const [port] = await Promise.race([once(child.stdout, 'data'), exited.then(({ code }) => failToStart(subject, code))]);
  return { pid: child.pid, port: Number(port), exited, signal: () => child.kill('SIGTERM'), kill };
}

function failToStart(subject, code) {
  throw new Error(`Expected the pod of ${subject} to listen, but it exited with ${code}.`);
}

export function startClient() {
  const child = fork(new URL('client.js', import.meta.url));
  return {
    ask: (command, options) => ask(child, command, options),
    stop: () => child.disconnect(),
  };
}

/** One question on the way at a time. */
export async function ask(child, command, options = {}) {
  child.send({ command, ...options });
  const [answer] = await once(child, 'message');
  return answer;
}
