// A service whose event loop is blocked now and then. A thread answers its probes on a management port, so that they tell what is going on all the while.
import { execFileSync } from 'node:child_process';
import { createServer } from 'node:http';
import Koa from 'koa';
import { gracefulShutdown, ProbeRegistry, probeServer } from 'koa-probes';

/** Like a report on too much data. */
function buildReport(ms: number): number {
  const endsAt = performance.now() + ms;
  let sum = 0;
  while (performance.now() < endsAt) for (let row = 1; row < 100_000; row += 1) sum += Math.sqrt(row);
  return sum;
}

/** Like an expression that backtracks: each letter more takes it twice the time. */
function matchName(ms: number): void {
  const endsAt = performance.now() + ms;
  while (performance.now() < endsAt) /^(?:[a-z]+)+$/.test(`${'a'.repeat(22)}!`);
}

/** Like a program that draws a picture, and that is waited for. */
function drawPicture(ms: number): void {
  execFileSync('sleep', [String(ms / 1_000)]);
}

const probes = new ProbeRegistry();
probes.register({ name: 'queue', kinds: ['readiness'], check: () => ({ waiting: 0 }) });
probes.on('block', ({ durationMs, by }) =>
  console.log(`an event for your own metrics: ${String(Math.round(durationMs))} ms, ${by ?? 'not known'}`),
);

const app = new Koa();
app.use((ctx) => {
  const ms = Number(ctx.query['ms'] ?? 0);
  if (ctx.path === '/report') buildReport(ms);
  if (ctx.path === '/name') matchName(ms);
  if (ctx.path === '/picture') drawPicture(ms);
  ctx.body = 'done\n';
});

const answer = app.callback();
const server = createServer((request, response) => void answer(request, response));
gracefulShutdown(server, probes);
// Without `thread` no probe is answered while the loop is blocked.
await probeServer(probes, { port: Number(process.env['PROBE_PORT'] ?? 9090), thread: true, notReadyAfterMs: 1_000, deadAfterMs: 30_000 });
server.listen(Number(process.env['PORT'] ?? 3000), () => console.log('listening on', server.address()));
