// One of several processes behind one port. `primary.ts` starts it with node:cluster; pm2 can start it too (ecosystem.config.cjs).
import { join } from 'node:path';
import { Container } from 'inversify';
import Koa from 'koa';
import { discoverProbes, gracefulShutdown, probeHeartbeat } from 'koa-probes';
import 'koa-probes/event-loop';

const probes = await discoverProbes(new Container());

const app = new Koa();
app.use((ctx) => {
  const endsAt = performance.now() + Number(ctx.query['block'] ?? 0); // GET /?block=60000 blocks this process for a minute
  while (performance.now() < endsAt);
  ctx.body = `${String(process.pid)}\n`;
});
const server = app.listen(Number(process.env['PORT'] ?? 3000));

// A directory for each process. The number stays the same when a process is replaced, so no directory is left behind.
const directory = join(process.env['PROBE_DIRECTORY'] ?? '/run/app', process.env['NODE_APP_INSTANCE'] ?? '0');
probeHeartbeat(probes, { directory, intervalMs: 1_000 });
gracefulShutdown(server, probes);
