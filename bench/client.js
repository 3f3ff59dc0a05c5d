import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { PATH } from './subjects.js';

const REQUEST = `GET ${PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
const LAST_REQUEST = `GET ${PATH} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`;

/** Starts `server.js`; `ask(command, options)` has one question on the way at a time. */
export function startServer(flags = []) {
  const child = fork(new URL('server.js', import.meta.url), { execArgv: ['--expose-gc', ...flags] });
  return {
    async ask(command, options = {}) {
      child.send({ command, ...options });
      const [answer] = await once(child, 'message');
      return answer;
    },
    stop: () => child.disconnect(),
  };
}

/** `count` requests at the same moment, each on a connection of its own that is open already. Gives up after `timeoutMs`. */
export async function requestTogether(port, count, timeoutMs) {
  const sockets = await Promise.all(Array.from({ length: count }, () => open(port)));
  const startedAt = performance.now();
  const answers = sockets.map((socket) => {
    socket.setTimeout(timeoutMs, () => socket.destroy());
    socket.write(LAST_REQUEST);
    return readOnce(socket).then((text) => ({ isAnswered: text.startsWith('HTTP/1.1 '), ms: performance.now() - startedAt }));
  });
  return Promise.all(answers);
}

/** One request after the other on each of `connections`, for `durationMs`. Resolves to the number that were answered. */
export async function requestSteadily(port, connections, durationMs) {
  const endsAt = performance.now() + durationMs;
  const counts = await Promise.all(Array.from({ length: connections }, () => requestInTurn(port, endsAt)));
  return counts.reduce((sum, count) => sum + count);
}

const CONNECTIONS = 8;
const RUN_MS = 200;

/** Microseconds of CPU of the server's process for a request that runs that many checks. */
export async function measureCpu(server, port, checks) {
  const before = await server.ask('usage');
  const requests = await requestSteadily(port, CONNECTIONS, RUN_MS);
  const after = await server.ask('usage');
  const executions = after.executions - before.executions;
  if (executions !== requests * checks)
    throw new Error(`Expected ${requests} requests to run ${checks} checks each, but ${executions} ran.`);
  return (after.cpuUs - before.cpuUs) / requests;
}

async function requestInTurn(port, endsAt) {
  const socket = await open(port);
  let count = 0;
  return new Promise((resolve, reject) => {
    let received = '';
    socket.on('data', (text) => {
      received += text;
      if (!isComplete(received)) return;
      if (!received.startsWith('HTTP/1.1 200 ')) return reject(new Error(`Expected every answer to be 200, got:\n${received}`));
      received = '';
      count += 1;
      if (performance.now() < endsAt) return socket.write(REQUEST);
      socket.destroy();
      resolve(count);
    });
    socket.once('error', reject);
    socket.write(REQUEST);
  });
}

/** Knows only the two ways in which the subjects mark the end of a body. */
function isComplete(text) {
  const bodyAt = text.indexOf('\r\n\r\n') + 4;
  if (bodyAt === 3) return false;
  const length = /^content-length: (\d+)/im.exec(text.slice(0, bodyAt));
  return length === null ? text.endsWith('\r\n0\r\n\r\n') : text.length >= bodyAt + Number(length[1]);
}

async function open(port) {
  const socket = connect(port, '127.0.0.1').setNoDelay().setEncoding('latin1');
  await once(socket, 'connect');
  return socket;
}

async function readOnce(socket) {
  let text = '';
  socket.on('data', (part) => (text += part));
  socket.on('error', () => socket.destroy());
  await once(socket, 'close');
  return text;
}
