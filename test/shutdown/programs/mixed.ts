// Requests, event streams and WebSockets. It says goodbye to the latter at its end, as with other libraries.
import { createServer } from 'node:http';
import { Readable } from 'node:stream';
import { setInterval as every, setTimeout as pause } from 'node:timers/promises';
import Koa from 'koa';
import { gracefulShutdown, probeMiddleware, ProbeRegistry } from 'koa-probes';
import { WebSocketServer } from 'ws';
import { announce } from './application.js';

const probes = new ProbeRegistry();
const { lifecycle } = probes;
const app = new Koa();
app.use(probeMiddleware(probes));
app.use(async (ctx) => {
  if (ctx.path === '/events') {
    ctx.type = 'text/event-stream';
    ctx.body = Readable.from(events());
    return;
  }
  await pause(Number(ctx.query['ms'] ?? 0));
  ctx.body = 'done';
});

async function* events() {
  yield 'data: hello\n\n';
  try {
    for await (const _ of every(20, undefined, { signal: lifecycle.shutdownSignal })) yield 'data: tick\n\n';
  } catch {
    yield 'event: goodbye\ndata: shutting down\n\n';
  }
}

const answer = app.callback();
const server = createServer((request, response) => void answer(request, response));
const sockets = new WebSocketServer({ server });
sockets.on('connection', (socket) => socket.on('message', (message) => socket.send(message)));

const shutdown = gracefulShutdown(server, probes, { drainDelayMs: Number(process.env['DRAIN_DELAY_MS']), timeoutMs: 15_000 });
shutdown.onShutdown('websockets', () => sockets.clients.forEach((socket) => socket.close(1001)));
server.listen(0, '127.0.0.1', () => announce(server));
