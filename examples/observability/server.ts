// A service whose probes are seen: metrics for Prometheus on a port of their own, and access logs without the probes that pass.
import { createServer } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { Container } from 'inversify';
import Koa from 'koa';
import { discoverProbes, gracefulShutdown, probeMiddleware, ReadinessProbe, type ProbeContext } from 'koa-probes';
import { probeMetrics } from 'koa-probes/prometheus';
import { collectDefaultMetrics, register } from 'prom-client';
import { createPinoLogger } from './access-logs.js';

/** What the search does, to be changed from outside: `curl -X POST localhost:3000/search/down`. */
const states = new Set(['up', 'down', 'hanging']);
let search = 'up';

@ReadinessProbe({ timeoutMs: 200 })
export class SearchProbe {
  async check({ signal }: ProbeContext) {
    await pause(2);
    if (search === 'down') throw new Error('the search is down');
    // It does not heed its signal, as many clients do not.
    if (search === 'hanging') await new Promise(() => {});
    signal.throwIfAborted();
  }
}

const probes = await discoverProbes(new Container(), { classes: [SearchProbe] });
probeMetrics(probes, { register });
collectDefaultMetrics();

const app = new Koa();
app.use(probeMiddleware(probes));
app.use(async (ctx) => {
  const state = ctx.path.replace('/search/', '');
  if (ctx.method === 'POST' && states.has(state)) search = state;
  if (ctx.path === '/slow') await pause(60_000);
  ctx.body = `${search}\n`;
});
const handle = app.callback();
const log = createPinoLogger();
const server = createServer((request, response) => {
  log(request, response);
  void handle(request, response);
}).listen(Number(process.env['PORT'] ?? 3000), () => console.log('listening on', server.address()));

// Not given to gracefulShutdown: it answers until the process exits, and the metrics show the shutdown too.
createServer((_request, response) => {
  void register.metrics().then((text) => response.setHeader('Content-Type', register.contentType).end(text));
}).listen(Number(process.env['METRICS_PORT'] ?? 9464));

gracefulShutdown(server, probes, { timeoutMs: Number(process.env['SHUTDOWN_TIMEOUT_MS'] ?? 25_000) });
