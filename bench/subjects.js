import { createServer } from 'node:http';
import { createTerminus } from '@godaddy/terminus';
import healthConnect from '@cloudnative/health-connect';
import Koa from 'koa';
import connect from 'koa-connect';
import mount from 'koa-mount';
import { Registry } from 'prom-client';
import { ProbeRegistry, probeMiddleware } from '../dist/index.js';
import { probeMetrics } from '../dist/telemetry/prometheus.js';

/** Where every subject answers. */
export const PATH = '/readyz';

/** An HTTP server a subject: a Koa application that answers `PATH` after all `checks`. */
export const subjects = {
  'bare Koa': () => serve(new Koa().use(answerOk)),

  'Promise.all': (checks) =>
    serve(
      new Koa().use(async (ctx) => {
        await Promise.all(checks.map((check) => check()));
        ctx.body = 'ok';
      }),
    ),

  'koa-probes': (checks, { timeoutMs } = {}) => serve(new Koa().use(probeMiddleware(createRegistry(checks, { timeoutMs }))).use(answerOk)),

  'koa-probes with metrics': (checks) => {
    const probes = createRegistry(checks);
    probeMetrics(probes, { register: new Registry() });
    return serve(new Koa().use(probeMiddleware(probes)).use(answerOk));
  },

  '@godaddy/terminus': (checks) =>
    createTerminus(serve(new Koa().use(answerOk)), {
      healthChecks: { [PATH]: async () => void (await Promise.all(checks.map((check) => check()))) },
    }),

  '@cloudnative/health-connect': (checks) => serve(new Koa().use(mountHealthConnect(checks)).use(answerOk)),
};

export function createRegistry(checks, options = {}) {
  const probes = new ProbeRegistry({ logger: false });
  for (const [index, check] of checks.entries()) probes.register({ name: `check-${index}`, kinds: ['readiness'], check, ...options });
  return probes;
}

export function mountHealthConnect(checks) {
  const { HealthChecker, ReadinessCheck, ReadinessEndpoint } = healthConnect;
  const checker = new HealthChecker();
  for (const [index, check] of checks.entries()) checker.registerReadinessCheck(new ReadinessCheck(`check-${index}`, check));
  return mount(PATH, connect(ReadinessEndpoint(checker)));
}

function serve(app) {
  return createServer(app.callback());
}

function answerOk(ctx) {
  ctx.body = 'ok';
}
