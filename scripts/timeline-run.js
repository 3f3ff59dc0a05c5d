// Runs examples/shutdown as a process, plays its clients, ends it with SIGTERM, and writes down what everybody saw.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { root } from './setup.js';

const POLL_EVERY_MS = 100;

/** All times are milliseconds since the signal, and negative before it. Requests begin `leadMs` before it. */
export async function recordShutdown({ drainDelayMs, leadMs = 1_000, longMs = 2_500 }) {
  const example = await startExample(drainDelayMs);
  const signalledAt = performance.now() + leadMs;
  const now = () => Math.round(performance.now() - signalledAt);
  const at = (ms) => pause(Math.max(0, ms - now()));
  const { url, probesUrl, port } = example;

  const requests = [];
  const isOver = () => example.process.exitCode !== null;
  const poll = async (look) => {
    const seen = [];
    while (!isOver()) {
      const atMs = now();
      seen.push({ atMs, ...(await look().catch(() => ({ answer: 'refused' }))) });
      await pause(POLL_EVERY_MS);
    }
    return seen;
  };
  const keep = async (label, beginsAt, options) => {
    await at(beginsAt);
    const fromMs = now();
    const answer = await ask(`${url}${options.path}`, options).catch((error) => ({ answer: error.code }));
    requests.push({ label, fromMs, toMs: now(), ...answer });
  };

  // The kubelet takes a new connection for each probe, and so do new clients; a balancer keeps its own.
  const polls = Promise.all([
    poll(() => ask(`${probesUrl}/livez`)),
    poll(() => ask(`${probesUrl}/readyz`)),
    poll(() => ask(url)),
    poll(askOnKeptConnections(url)),
  ]);
  const clients = Promise.all([
    keep('GET', -0.8 * leadMs, { path: `/?ms=${longMs}` }),
    keep('GET', drainDelayMs - 0.4 * longMs, { path: `/?ms=${longMs}` }),
    keep('event stream', -0.6 * leadMs, { path: '/events' }),
    openChat(example, now).then((chat) => requests.push(chat)),
  ]);
  const idle = Promise.all([holdConnection(port, now, 'one request'), holdConnection(port, now, 'nothing ever sent')]);
  const report = at(drainDelayMs - 0.5 * longMs).then(async () => {
    const fromMs = now();
    await ask(`${url}/reports?ms=${longMs + 200}`, { method: 'POST' });
    const { toMs } = await example.said('report written', now);
    return { label: 'job', fromMs, toMs, answer: 'written' };
  });

  await at(0);
  const exited = once(example.process, 'exit').then(([code]) => ({ code, atMs: now() }));
  example.process.kill('SIGTERM');
  const exit = await exited;
  const [liveness, readiness, connects, quick] = await polls;
  await clients;
  return {
    phases: example.progress().map(({ phase, elapsedMs }) => ({ phase, atMs: Math.round(elapsedMs) })),
    exit,
    liveness,
    readiness,
    connects,
    quick,
    requests: [...requests, await report].toSorted((a, b) => a.fromMs - b.fromMs),
    idle: await idle,
    log: example.log(),
  };
}

async function startExample(drainDelayMs) {
  const { NODE_EXTRA_CA_CERTS: _, NODE_V8_COVERAGE: __, ...env } = process.env;
  const child = spawn(process.execPath, [join(root, 'build/examples/shutdown/server.js')], {
    env: {
      ...env,
      PORT: '0',
      MANAGEMENT_PORT: '0',
      DRAIN_DELAY_MS: String(drainDelayMs),
      SHUTDOWN_TIMEOUT_MS: String(drainDelayMs + 20_000),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  process.once('exit', () => child.kill('SIGKILL'));
  let output = '';
  let log = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  child.stderr.on('data', (chunk) => (log += chunk));
  const said = async (text, now = () => 0) => {
    while (!output.includes(text)) {
      if (child.exitCode !== null) throw new Error(`It ended without "${text}":\n${output}${log}`);
      await once(child.stdout, 'data');
    }
    return { toMs: now() };
  };
  await said('listening on');
  const [port, management] = [...output.matchAll(/port: (\d+)/g)].map(([, digits]) => Number(digits));
  return {
    process: child,
    port,
    url: `http://127.0.0.1:${port}`,
    probesUrl: `http://127.0.0.1:${management}`,
    said,
    progress: () => [...output.matchAll(/^\{"phase".*$/gm)].map(([line]) => JSON.parse(line)),
    log: () => log.split('\n').filter((line) => line.includes('shutdown by')),
  };
}

/** What came back: the status, and whether the client may come again on this connection. */
async function ask(url, { agent, method } = {}) {
  const own = agent ?? new Agent({ keepAlive: true });
  const [response] = await once(request(url, { agent: own, method }).end(), 'response');
  await response.resume().toArray();
  if (agent === undefined) own.destroy();
  return { answer: String(response.statusCode), isLast: response.headers.connection === 'close' };
}

function askOnKeptConnections(url) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  return () => ask(url, { agent });
}

async function openChat({ port }, now) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/chat`);
  await once(socket, 'open');
  const fromMs = now();
  const [code] = await once(socket, 'close');
  return { label: 'WebSocket', fromMs, toMs: now(), answer: String(code) };
}

/** A connection that its client keeps open, and on which no further request comes. */
async function holdConnection(port, now, label) {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const fromMs = now();
  if (label === 'one request') socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await once(socket.resume(), 'close');
  return { label, fromMs, toMs: now() };
}
