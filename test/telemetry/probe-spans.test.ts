import { createRequire } from 'node:module';
import { HttpInstrumentation } from '@opentelemetry/instrumentation-http';
import { KoaInstrumentation } from '@opentelemetry/instrumentation-koa';
import { SpanKind, trace } from '@opentelemetry/api';
import { expect } from 'chai';
import Koa from 'koa';
import { probeMiddleware, ProbeRegistry } from 'koa-probes';
import { probeTelemetry, withoutPassingProbes } from 'koa-probes/opentelemetry';
import { ask, closeServers, serve } from '../support/http.js';
import { createTracer } from '../support/opentelemetry.js';
import { until } from '../support/processes.js';

const require = createRequire(import.meta.url);

describe('withoutPassingProbes(processor)', () => {
  const instrumentations = [new HttpInstrumentation(), new KoaInstrumentation()];
  let tracer: ReturnType<typeof createTracer>;

  before(() => {
    for (const instrumentation of instrumentations) instrumentation.enable();
    // The hooks patch what is required from now on.
    require('node:http');
    require('koa');
  });
  after(() => {
    for (const instrumentation of instrumentations) instrumentation.disable();
  });
  afterEach(async () => {
    closeServers();
    await tracer.stop();
  });

  /** A Koa application whose probe fails while `isUp` is false, and the spans that are exported. */
  async function startApplication(wrap = true, paths?: { readiness: string }) {
    const options = paths === undefined ? {} : { paths };
    tracer = createTracer((processor) => (wrap ? withoutPassingProbes(processor, options) : processor));
    for (const instrumentation of instrumentations) instrumentation.setTracerProvider(tracer.tracerProvider);
    const state = { isUp: true };
    const probes = new ProbeRegistry({ logger: false });
    probes.register({
      name: 'search',
      kinds: ['readiness'],
      check: async () => {
        trace.getTracer('test').startSpan('query').end();
        return state.isUp;
      },
    });
    probeTelemetry(probes, { spans: true });
    const app = new Koa().use(probeMiddleware(probes, options));
    app.use((ctx) => {
      ctx.status = ctx.path === '/broken' ? 500 : 200;
      ctx.body = 'hello';
    });
    const handle = app.callback();
    const url = await serve((request, response) => void handle(request, response));
    const request = async (path: string) => {
      await ask(url + path);
      // The span of the request ends behind its answer; one of another request shows that it is through.
      const marker = tracer.tracerProvider.getTracer('test').startSpan(`behind ${path}`);
      await new Promise(setImmediate);
      marker.end();
    };
    const servers = () =>
      tracer.exporter
        .getFinishedSpans()
        .filter(({ kind }) => kind === SpanKind.SERVER)
        .map(({ attributes }) => `${String(attributes['url.path'])} ${String(attributes['http.response.status_code'])}`);
    const names = () =>
      tracer.exporter
        .getFinishedSpans()
        .filter(({ kind }) => kind === SpanKind.INTERNAL)
        .map(({ name }) => name)
        .filter((name) => !name.startsWith('behind'));
    return { request, servers, names, state };
  }

  it('is needed, because without it each probe request has spans', async () => {
    const { request, servers, names } = await startApplication(false);
    await request('/readyz');
    await until(() => servers().length > 0);
    expect(servers()).to.deep.equal(['/readyz 200']);
    expect(names()).to.include.members(['query', 'probe search', 'middleware - answerProbes']);
  });

  it('drops the spans of passing probes with all their child spans, and of no other request', async () => {
    const { request, servers, names } = await startApplication();
    for (const path of ['/readyz', '/livez?verbose', '/healthz/', '/readyz/search', '/orders', '/broken', '/readyzzz']) await request(path);
    await until(() => servers().length === 3);
    expect(servers()).to.deep.equal(['/orders 200', '/broken 500', '/readyzzz 200']);
    expect(names()).not.to.include('query').and.not.to.include('probe search');
  });

  it('keeps the spans of failing probes with all their child spans', async () => {
    const { request, servers, names, state } = await startApplication();
    state.isUp = false;
    for (const path of ['/readyz', '/livez', '/readyz/typo']) await request(path);
    await until(() => servers().length === 2);
    expect(servers()).to.deep.equal(['/readyz 503', '/readyz/typo 404']);
    expect(names()).to.include.members(['query', 'probe search', 'middleware - answerProbes']);
  });

  it('recognizes custom paths', async () => {
    const { request, servers } = await startApplication(true, { readiness: '/health/ready' });
    for (const path of ['/health/ready', '/readyz']) await request(path);
    await until(() => servers().length === 1);
    expect(servers()).to.deep.equal(['/readyz 200']);
  });

  it('rejects anything but a span processor, and invalid paths', async () => {
    tracer = createTracer();
    expect(() => withoutPassingProbes({} as never)).to.throw(/span processor/);
    const processor = { onStart() {}, onEnd() {}, forceFlush: async () => {}, shutdown: async () => {} };
    expect(() => withoutPassingProbes(processor, { paths: { readiness: 'readyz' } })).to.throw(/begin with/);
    expect(() => withoutPassingProbes(processor, { path: '/' } as never)).to.throw(/`path`/);
  });
});
