import { SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { DataPointType } from '@opentelemetry/sdk-metrics';
import { expect } from 'chai';
import { Degraded, ProbeRegistry, type ProbeOptions } from 'koa-probes';
import { probeTelemetry, type ProbeTelemetryOptions } from 'koa-probes/opentelemetry';
import { createMeters, createTracer } from '../support/opentelemetry.js';
import { ControlledCheck } from '../support/probes.js';

function createRegistry(checks: Record<string, () => unknown> = {}, options: Omit<ProbeOptions, 'name'> = {}): ProbeRegistry {
  const registry = new ProbeRegistry({ logger: false });
  for (const [name, check] of Object.entries(checks)) registry.register({ name, kinds: ['readiness'], check, ...options });
  return registry;
}

const search = { 'koa_probes.probe.name': 'search' };

describe('probeTelemetry(probes)', () => {
  describe('metrics', () => {
    let meters: ReturnType<typeof createMeters>;
    beforeEach(() => (meters = createMeters()));
    afterEach(() => meters.stop());

    it('are the documented ones, with their units', async () => {
      const probes = createRegistry({ search: () => {} });
      probeTelemetry(probes, { meterProvider: meters.meterProvider });
      await probes.run('readiness');
      const found = (await meters.read()).map((metric) => {
        const { name, unit } = metric.descriptor;
        const type =
          metric.dataPointType === DataPointType.SUM && metric.isMonotonic ? 'counter' : DataPointType[metric.dataPointType].toLowerCase();
        return `${name} ${unit} ${type}`;
      });
      expect(found.toSorted()).to.deep.equal([
        'koa_probes.event_loop.blocked_time s counter',
        'koa_probes.event_loop.blocks {block} counter',
        'koa_probes.kind.up  gauge',
        'koa_probes.last_pass.timestamp s gauge',
        'koa_probes.lifecycle.state  sum',
        'koa_probes.probe.status  sum',
        'koa_probes.run.duration s histogram',
        'koa_probes.runs {run} counter',
        'koa_probes.runs.hanging {run} sum',
        'koa_probes.runs.shared {request} counter',
      ]);
    });

    it('count every run by outcome, before thresholds', async () => {
      let step: () => unknown = () => undefined;
      const probes = createRegistry({ search: () => step() }, { failureThreshold: 3, timeoutMs: 20 });
      probeTelemetry(probes, { meterProvider: meters.meterProvider });
      const outcomes = () =>
        Promise.all(
          ['pass', 'fail', 'timeout'].map((outcome) => meters.valueOf('koa_probes.runs', { ...search, 'koa_probes.run.outcome': outcome })),
        );
      expect(await outcomes()).to.deep.equal([0, 0, 0]);
      for (let count = 0; count < 3; count += 1) await probes.run('readiness');
      step = () => {
        throw new Degraded('slow');
      };
      await probes.run('readiness');
      step = () => false;
      await probes.run('readiness');
      step = () => new Promise(() => {});
      await probes.run('readiness');
      expect(await outcomes()).to.deep.equal([4, 1, 1]);
      const { count } = (await meters.valueOf('koa_probes.run.duration', search)) as { count: number };
      expect(count).to.equal(6);
    });

    it('report durations in five buckets', async () => {
      const probes = createRegistry({ search: () => {} });
      probeTelemetry(probes, { meterProvider: meters.meterProvider });
      await probes.run('readiness');
      const { buckets } = (await meters.valueOf('koa_probes.run.duration', search)) as { buckets: { boundaries: number[] } };
      expect(buckets.boundaries).to.deep.equal([0.005, 0.025, 0.1, 0.5, 1]);
    });

    it('report every state of a probe, and the kind', async () => {
      let step: () => unknown = () => undefined;
      const probes = createRegistry({ search: () => step() });
      probeTelemetry(probes, { meterProvider: meters.meterProvider });
      const states = async () => {
        const all = ['pass', 'warn', 'fail', 'unknown'];
        const values = await Promise.all(
          all.map((state) =>
            meters.valueOf('koa_probes.probe.status', { ...search, 'koa_probes.probe.state': state, 'koa_probes.probe.kind': 'readiness' }),
          ),
        );
        expect(values.filter((value) => value === 0)).to.have.length(3);
        return all[values.indexOf(1)];
      };
      const kind = () => meters.valueOf('koa_probes.kind.up', { 'koa_probes.probe.kind': 'readiness' });
      expect(await states()).to.equal('unknown');
      expect(await kind()).to.equal(undefined);
      await probes.run('readiness');
      expect([await states(), await kind()]).to.deep.equal(['pass', 1]);
      step = () => {
        throw new Degraded('slow');
      };
      await probes.run('readiness');
      expect([await states(), await kind()]).to.deep.equal(['warn', 1]);
      step = () => false;
      await probes.run('readiness');
      expect([await states(), await kind()]).to.deep.equal(['fail', 0]);
    });

    it('report shared and hanging runs, the last pass and the lifecycle', async () => {
      const slow = new ControlledCheck();
      const probes = createRegistry({ search: slow.check }, { timeoutMs: 20 });
      probeTelemetry(probes, { meterProvider: meters.meterProvider });
      await Promise.all([probes.run('readiness'), probes.run('readiness')]);
      expect(await meters.valueOf('koa_probes.runs.shared', search)).to.equal(1);
      expect(await meters.valueOf('koa_probes.runs.hanging', search)).to.equal(1);
      expect(await meters.valueOf('koa_probes.last_pass.timestamp', search)).to.equal(undefined);
      slow.resolve();
      await new Promise(setImmediate);
      const running = probes.run('readiness');
      slow.resolve();
      await running;
      expect(await meters.valueOf('koa_probes.runs.hanging', search)).to.equal(0);
      expect(await meters.valueOf('koa_probes.last_pass.timestamp', search)).to.be.within(Date.now() / 1_000 - 60, Date.now() / 1_000 + 1);
      probes.lifecycle.drain();
      expect(await meters.valueOf('koa_probes.lifecycle.state', { 'koa_probes.lifecycle.state': 'draining' })).to.equal(1);
      expect(await meters.valueOf('koa_probes.lifecycle.state', { 'koa_probes.lifecycle.state': 'running' })).to.equal(0);
    });

    it('report no state of a removed probe', async () => {
      const probes = new ProbeRegistry({ logger: false });
      const remove = probes.register({ name: 'search', kinds: ['readiness'], check: () => {} });
      probeTelemetry(probes, { meterProvider: meters.meterProvider });
      await probes.run('readiness');
      const passes = () => meters.valueOf('koa_probes.probe.status', { ...search, 'koa_probes.probe.state': 'pass' });
      expect(await passes()).to.equal(1);
      remove();
      expect(await passes()).to.equal(0);
    });

    it('are read without a run, and are removed by the returned function', async () => {
      let runs = 0;
      const probes = createRegistry({ search: () => void (runs += 1) });
      const stop = probeTelemetry(probes, { meterProvider: meters.meterProvider });
      await meters.read();
      expect(runs).to.equal(0);
      stop();
      stop();
      await probes.run('readiness');
      expect(await meters.valueOf('koa_probes.runs', { ...search, 'koa_probes.run.outcome': 'pass' })).to.equal(0);
      expect(await meters.valueOf('koa_probes.run.duration', search)).to.equal(undefined);
    });
  });

  describe('spans', () => {
    let tracer: ReturnType<typeof createTracer>;
    beforeEach(() => (tracer = createTracer()));
    afterEach(() => tracer.stop());

    const observe = (probes: ProbeRegistry, options: ProbeTelemetryOptions = { spans: true }) => probeTelemetry(probes, options);

    it('are off by default', async () => {
      const probes = createRegistry({ search: () => {} });
      observe(probes, {});
      await probes.run('readiness');
      expect(tracer.exporter.getFinishedSpans()).to.deep.equal([]);
    });

    it('exist for each run, and are the parents of spans in the check', async () => {
      const probes = createRegistry({
        search: async () => {
          await Promise.resolve();
          trace.getTracer('test').startSpan('query').end();
        },
      });
      observe(probes);
      await probes.run('readiness');
      await probes.run('readiness');
      const spans = tracer.exporter.getFinishedSpans();
      expect(spans.map(({ name }) => name)).to.deep.equal(['query', 'probe search', 'query', 'probe search']);
      expect(spans[0]?.parentSpanContext?.spanId).to.equal(spans[1]?.spanContext().spanId);
      expect(spans[1]?.kind).to.equal(SpanKind.INTERNAL);
      expect(spans[1]?.attributes).to.deep.equal({
        'koa_probes.probe.name': 'search',
        'koa_probes.probe.kind': 'readiness',
        'koa_probes.run.outcome': 'pass',
      });
    });

    const failures: Record<string, { check: () => unknown; type: string }> = {
      'an error with a code': {
        check: () => Promise.reject(Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })),
        type: 'ECONNREFUSED',
      },
      'an error without a code': { check: () => Promise.reject(new TypeError('broken')), type: 'TypeError' },
      'a timeout': { check: () => new Promise(() => {}), type: 'timeout' },
      'a thrown value that is not an error': { check: () => Promise.reject(undefined), type: '_OTHER' },
    };
    for (const [title, { check, type }] of Object.entries(failures)) {
      it(`report ${title}`, async () => {
        const probes = createRegistry({ search: check }, { timeoutMs: 20 });
        observe(probes);
        await probes.run('readiness');
        const [span] = tracer.exporter.getFinishedSpans();
        expect(span?.status.code).to.equal(SpanStatusCode.ERROR);
        expect(span?.attributes['error.type']).to.equal(type);
        expect(span?.events.map(({ name }) => name)).to.deep.equal(['exception']);
      });
    }

    it('end when a probe is removed', async () => {
      const probes = new ProbeRegistry({ logger: false });
      const remove = probes.register({ name: 'search', kinds: ['readiness'], check: () => new Promise(() => {}) });
      observe(probes);
      const running = probes.run('readiness');
      remove();
      await running;
      const [span] = tracer.exporter.getFinishedSpans();
      expect(span?.attributes['koa_probes.run.outcome']).to.equal('canceled');
      expect(span?.status.code).to.equal(SpanStatusCode.UNSET);
    });

    it('do not prevent a check from running if the tracer fails', async () => {
      const logged: string[] = [];
      const probes = new ProbeRegistry({ logger: { info: () => {}, warn: () => {}, error: (line) => void logged.push(line) } });
      let runs = 0;
      probes.register({ name: 'search', kinds: ['readiness'], check: () => void (runs += 1) });
      const startSpan = () => {
        throw new Error('no tracer');
      };
      observe(probes, { spans: true, tracerProvider: { getTracer: () => ({ startSpan, startActiveSpan: startSpan }) } });
      expect((await probes.run('readiness')).status).to.equal('pass');
      expect(runs).to.equal(1);
      expect(logged.join()).to.include('no tracer');
    });
  });

  it('rejects anything but a registry, and unknown options', () => {
    expect(() => probeTelemetry({} as ProbeRegistry)).to.throw(/`probes` of probeTelemetry\(\)/);
    expect(() => probeTelemetry(createRegistry(), { span: true } as ProbeTelemetryOptions)).to.throw(/`span`/);
    expect(() => probeTelemetry(createRegistry(), { spans: 'on' as unknown as boolean })).to.throw(/`spans`/);
  });
});
