// A service that loses nothing when its pod is taken away: requests, an event stream, WebSockets, jobs and a database.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { Readable } from 'node:stream';
import { setInterval as every, setTimeout as pause } from 'node:timers/promises';
import { Container } from 'inversify';
import knex from 'knex';
import Koa from 'koa';
import { discoverProbes, gracefulShutdown, ProbeRegistry, probeServer } from 'koa-probes';
import { DATABASE } from 'koa-probes/knex';
import { WebSocketServer } from 'ws';

const database = knex({ client: 'better-sqlite3', connection: ':memory:', useNullAsDefault: true });
const container = new Container();
container
  .bind(DATABASE)
  .toConstantValue({ knex: database, access: 'write' })
  .onDeactivation(async () => {
    await database.destroy(); // the last step of all: requests, jobs and hooks may use it until then
    console.log('database closed');
  });
export const probes = new ProbeRegistry(); // for `koa-probes manifest`
const { lifecycle } = probes;

const app = new Koa();
app.use(async (ctx) => {
  if (ctx.path === '/events') {
    ctx.type = 'text/event-stream';
    ctx.body = Readable.from(events());
    return;
  }
  if (ctx.path === '/reports' && ctx.method === 'POST') {
    void lifecycle.track(writeReport(Number(ctx.query['ms'] ?? 1_000)), 'report'); // it goes on after the answer
    ctx.status = 202;
    return;
  }
  await pause(Number(ctx.query['ms'] ?? 0)); // GET /?ms=3000 takes three seconds
  ctx.body = `${JSON.stringify(await database('reports').count({ reports: '*' }).first())}\n`;
});

/** An event stream never ends by itself: it listens to the shutdown, and says goodbye. */
async function* events() {
  yield 'retry: 2000\n\n'; // the client comes back in 2 s, to another pod
  try {
    for await (const _ of every(200, undefined, { signal: lifecycle.shutdownSignal })) yield `data: ${new Date().toISOString()}\n\n`;
  } catch {
    yield 'event: goodbye\ndata: shutting down\n\n';
  }
}

async function migrate() {
  await database.schema.createTable('reports', (table) => table.increments());
}

async function writeReport(ms: number) {
  try {
    await pause(ms);
    await database('reports').insert({});
    console.log('report written');
  } catch (error) {
    console.error(error); // a rejection stays ours to handle
  }
}

const answer = app.callback();
const server = createServer((request, response) => void answer(request, response));
server.keepAliveTimeout = 65_000; // longer than the balancer's own, often 60 s: it is the client who closes an idle connection
const sockets = new WebSocketServer({ server, path: '/chat' });
sockets.on('connection', (socket) => socket.on('message', (message, isBinary) => socket.send(message, { binary: isBinary })));

// Before the start: a signal finds somebody who hears it, also in PID 1. Nothing more is begun then, and the container deactivates what it has.
const shutdown = gracefulShutdown(server, probes, {
  drainDelayMs: Number(process.env['DRAIN_DELAY_MS'] ?? 0), // pod.yaml sets both: how long, and what it is held against
  timeoutMs: Number(process.env['SHUTDOWN_TIMEOUT_MS'] ?? 25_000),
});
// The shutdown does not wait for WebSockets, and closes them after the hooks. A goodbye tells the clients to take another pod.
shutdown.onClosing('websockets', () => sockets.clients.forEach((socket) => socket.close(1001, 'going away')));
shutdown.onShutdown('telemetry', async (reason) => {
  await pause(200); // stands for the last metrics on their way to your collector
  console.log(`telemetry sent, ${reason}`);
});
probes.on('shutdown', (progress) => console.log(JSON.stringify(progress)));

// The start, which a signal ends between any two steps.
await lifecycle.track(migrate(), 'migrations'); // waited for: a migration is not to be cut
await discoverProbes(container, { registry: probes });
// On a port of their own the probes are answered to the end, also when the application takes no more connections.
const management = await probeServer(probes, { port: Number(process.env['MANAGEMENT_PORT'] ?? 9090) });
server.listen(Number(process.env['PORT'] ?? 3000));
await once(server, 'listening');
console.log('listening on', server.address(), 'and', management.address());
