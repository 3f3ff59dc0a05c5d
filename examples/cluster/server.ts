// One of several processes behind one port. `primary.ts` starts it with node:cluster; pm2 can start it too (ecosystem.config.cjs).
import { createServer } from 'node:http';
import { join } from 'node:path';
import { Container } from 'inversify';
import Koa from 'koa';
import { discoverProbes, gracefulShutdown, probeHeartbeat, ProbeRegistry } from 'koa-probes';
import { reportToPrimary } from 'koa-probes/cluster';
import 'koa-probes/event-loop';

const app = new Koa();
app.use((ctx) => {
  const endsAt = performance.now() + Number(ctx.query['block'] ?? 0); // GET /?block=60000 blocks this process for a minute
  while (performance.now() < endsAt);
  ctx.body = `${String(process.pid)}\n`;
});
const answer = app.callback();
const server = createServer((request, response) => void answer(request, response));
server.keepAliveTimeout = 65_000; // longer than the balancer's own: it is the client who closes an idle connection

const probes = new ProbeRegistry();
gracefulShutdown(server, probes);
const instance = process.env['NODE_APP_INSTANCE']; // set by pm2
if (instance === undefined) reportToPrimary(server, probes);
// The primary of pm2 answers no probes. A directory for each process: the number stays the same when a process is replaced, so no directory is left behind.
else probeHeartbeat(probes, { directory: join(process.env['PROBE_DIRECTORY'] ?? '/run/app', instance), intervalMs: 1_000 });
await discoverProbes(new Container(), { registry: probes });
server.listen(Number(process.env['PORT'] ?? 3000));
