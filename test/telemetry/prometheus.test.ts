import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import Koa from 'koa';
import { Degraded, probeMiddleware, ProbeRegistry, type ProbeOptions } from 'koa-probes';
import { probeMetrics, type ProbeMetricsOptions } from 'koa-probes/prometheus';
import { AggregatorRegistry, Counter, Registry } from 'prom-client';
import { ask, closeServers, serve } from '../support/http.js';
import { ControlledCheck } from '../support/probes.js';
import { promtool, startPrometheus, untilQueried } from '../support/prometheus.js';

const NAMES = [
  'koa_probes_answers_total',
  'koa_probes_event_loop_blocked_seconds_total',
  'koa_probes_event_loop_blocks_total',
  'koa_probes_kind_up',
  'koa_probes_last_pass_timestamp_seconds',
  'koa_probes_lifecycle',
  'koa_probes_probe_degraded',
  'koa_probes_probe_up',
  'koa_probes_run_duration_seconds',
  'koa_probes_runs_hanging',
  'koa_probes_runs_shared_total',
  'koa_probes_runs_total',
];

function createRegistry(checks: Record<string, () => unknown> = {}, options: Omit<ProbeOptions, 'name'> = {}): ProbeRegistry {
  const registry = new ProbeRegistry({ logger: false });
  for (const [name, check] of Object.entries(checks)) registry.register({ name, kinds: ['readiness'], check, ...options });
  return registry;
}

/** The samples of a scrape, each as `name{labels} value`, without the name's beginning. */
async function scrape(register: Registry, part = ''): Promise<string[]> {
  const text = await register.metrics();
  return text
    .split('\n')
    .filter((line) => line.startsWith('koa_probes_') && line.includes(part))
    .map((line) => line.replace('koa_probes_', ''));
}

function observed(probes: ProbeRegistry, options: Omit<ProbeMetricsOptions, 'register'> = {}) {
  const register = new Registry();
  const stop = probeMetrics(probes, { register, ...options });
  return { register, stop };
}

describe('probeMetrics(probes, { register })', () => {
  afterEach(closeServers);

  it('provides the documented metrics and no others', async () => {
    const { register } = observed(createRegistry({ search: () => {} }));
    expect(
      register
        .getMetricsAsArray()
        .map(({ name }) => name)
        .toSorted(),
    ).to.deep.equal(NAMES);
  });

  it('counts every run by outcome before thresholds, including each pass after a pass', async () => {
    let step: () => unknown = () => undefined;
    const probes = createRegistry({ search: () => step() }, { failureThreshold: 3, timeoutMs: 20 });
    const { register } = observed(probes);
    const outcomes = () => scrape(register, 'runs_total{');
    expect(await outcomes()).to.deep.equal([
      'runs_total{outcome="pass",probe="search"} 0',
      'runs_total{outcome="fail",probe="search"} 0',
      'runs_total{outcome="timeout",probe="search"} 0',
    ]);
    for (let count = 0; count < 5; count += 1) await probes.run('readiness');
    step = () => {
      throw new Degraded('slow');
    };
    await probes.run('readiness');
    step = () => false;
    await probes.run('readiness');
    step = () => new Promise(() => {});
    await probes.run('readiness');
    expect(await outcomes()).to.deep.equal([
      'runs_total{outcome="pass",probe="search"} 6',
      'runs_total{outcome="fail",probe="search"} 1',
      'runs_total{outcome="timeout",probe="search"} 1',
    ]);
  });

  it('counts a run once for all requests that share it, and counts these requests', async () => {
    const slow = new ControlledCheck();
    const probes = createRegistry({ slow: slow.check });
    const { register } = observed(probes);
    const underWay = Array.from({ length: 5 }, () => probes.run('readiness'));
    slow.resolve();
    await Promise.all(underWay);
    expect(await scrape(register, 'outcome="pass"')).to.deep.equal(['runs_total{outcome="pass",probe="slow"} 1']);
    expect(await scrape(register, 'shared')).to.deep.equal(['runs_shared_total{probe="slow"} 4']);
  });

  it('reports how many runs hang until they settle', async () => {
    const slow = new ControlledCheck();
    const probes = createRegistry({ slow: slow.check }, { timeoutMs: 10 });
    const { register } = observed(probes);
    const hanging = () => scrape(register, 'hanging');
    expect(await hanging()).to.deep.equal(['runs_hanging{probe="slow"} 0']);
    await probes.run('readiness');
    expect(await hanging()).to.deep.equal(['runs_hanging{probe="slow"} 1']);
    while (slow.runs < 2) await probes.run('readiness');
    expect(await hanging()).to.deep.equal(['runs_hanging{probe="slow"} 2']);
    slow.resolve();
    await new Promise(setImmediate);
    expect(await hanging()).to.deep.equal(['runs_hanging{probe="slow"} 0']);
  });

  it('reports the status of each probe and kind after thresholds', async () => {
    const probes = createRegistry({ up: () => {}, down: () => false });
    probes.register({ name: 'optional', kinds: ['readiness'], critical: false, check: () => false });
    const { register } = observed(probes);
    expect(await scrape(register, 'probe_up')).to.deep.equal([]);
    expect(await scrape(register, 'kind_up{kind="readiness"')).to.deep.equal([]);
    await probes.run('readiness');
    expect(await scrape(register, 'probe_up')).to.deep.equal([
      'probe_up{probe="lifecycle",kind="readiness"} 1',
      'probe_up{probe="up",kind="readiness"} 1',
      'probe_up{probe="down",kind="readiness"} 0',
      'probe_up{probe="optional",kind="readiness"} 1',
    ]);
    expect(await scrape(register, 'degraded')).to.include.members([
      'probe_degraded{probe="down",kind="readiness"} 0',
      'probe_degraded{probe="optional",kind="readiness"} 1',
    ]);
    expect(await scrape(register, 'kind_up{kind="readiness"')).to.deep.equal(['kind_up{kind="readiness"} 0']);
  });

  it('reports the state of the application at once', async () => {
    const probes = createRegistry();
    const { register } = observed(probes);
    const state = async () => (await scrape(register, 'lifecycle{state')).filter((line) => line.endsWith(' 1'));
    expect(await state()).to.deep.equal(['lifecycle{state="running"} 1']);
    const remove = probes.register({ name: 'warm-up', kinds: ['startup'], check: () => false });
    expect(await state()).to.deep.equal(['lifecycle{state="starting"} 1']);
    remove();
    probes.lifecycle.drain();
    expect(await state()).to.deep.equal(['lifecycle{state="draining"} 1']);
    expect(await scrape(register, 'lifecycle{state')).to.have.length(3);
  });

  it('reports when each probe last passed, even before the metrics existed', async () => {
    const before = Date.now() / 1_000;
    let isUp = true;
    const probes = createRegistry({ search: () => isUp, down: () => false });
    await probes.run('readiness');
    const { register } = observed(probes);
    const lastPass = async () => Number((await scrape(register, 'last_pass_timestamp_seconds{probe="search"}'))[0]?.split(' ')[1]);
    const first = await lastPass();
    expect(first).to.be.within(before - 1, Date.now() / 1_000 + 1);
    isUp = false;
    await probes.run('readiness');
    expect(await lastPass()).to.equal(first);
    isUp = true;
    await probes.run('readiness');
    expect(await lastPass()).to.be.at.least(first);
    expect(await scrape(register, 'last_pass_timestamp_seconds{probe="down"}')).to.deep.equal([]);
  });

  it('counts responses by kind and code, starting at 0', async () => {
    const probes = createRegistry({ down: () => false });
    const { register } = observed(probes);
    const handle = new Koa().use(probeMiddleware(probes)).callback();
    const url = await serve((request, response) => void handle(request, response));
    for (const path of ['/livez', '/healthz', '/readyz', '/readyz/typo', '/elsewhere']) await ask(url + path);
    expect(await scrape(register, 'answers_total')).to.deep.equal([
      'answers_total{kind="liveness",code="200"} 2',
      'answers_total{kind="liveness",code="503"} 0',
      'answers_total{kind="readiness",code="200"} 0',
      'answers_total{kind="readiness",code="503"} 1',
      'answers_total{kind="readiness",code="404"} 1',
      'answers_total{kind="startup",code="200"} 0',
      'answers_total{kind="startup",code="503"} 0',
    ]);
  });

  it('reports the duration of every run in five buckets', async () => {
    const probes = createRegistry({ fast: () => {}, hangs: () => new Promise(() => {}) }, { timeoutMs: 30 });
    const { register } = observed(probes);
    await probes.run('readiness');
    const buckets = async (probe: string) =>
      (await scrape(register, `probe="${probe}"`))
        .filter((line) => line.startsWith('run_duration'))
        .map((line) => line.replace(/,?probe="\w+"/, ''));
    expect((await buckets('fast')).map((line) => line.split(' ')[0])).to.deep.equal([
      'run_duration_seconds_bucket{le="0.005"}',
      'run_duration_seconds_bucket{le="0.025"}',
      'run_duration_seconds_bucket{le="0.1"}',
      'run_duration_seconds_bucket{le="0.5"}',
      'run_duration_seconds_bucket{le="1"}',
      'run_duration_seconds_bucket{le="+Inf"}',
      'run_duration_seconds_sum{}',
      'run_duration_seconds_count{}',
    ]);
    expect(await buckets('hangs')).to.include.members([
      'run_duration_seconds_bucket{le="0.025"} 0',
      'run_duration_seconds_bucket{le="+Inf"} 1',
      'run_duration_seconds_count{} 1',
    ]);
  });

  it('has no series for a removed probe, no matter what the probe was doing', async () => {
    const probes = createRegistry({ stays: () => {} });
    const tenant = new ControlledCheck();
    const remove = probes.register({ name: 'tenant', kinds: ['readiness', 'startup'], check: tenant.check });
    const { register } = observed(probes);
    const first = probes.run('readiness');
    tenant.resolve();
    await first;
    const second = probes.run('readiness', { only: 'tenant' });
    expect(await scrape(register, 'probe="tenant"')).to.have.length(18);
    remove();
    expect(await scrape(register, 'probe="tenant"')).to.deep.equal([]);
    tenant.resolve();
    await second;
    await new Promise(setImmediate);
    expect(await scrape(register, 'probe="tenant"')).to.deep.equal([]);
    expect(await scrape(register, 'probe="stays"')).to.not.have.length(0);
  });

  it('starts at 0 again for a probe that is added again', async () => {
    const probes = createRegistry();
    const { register } = observed(probes);
    const add = () => probes.register({ name: 'tenant', kinds: ['readiness'], check: () => {} });
    const remove = add();
    await probes.run('readiness');
    remove();
    add();
    expect(await scrape(register, 'outcome="pass"')).to.deep.equal(['runs_total{outcome="pass",probe="tenant"} 0']);
  });

  it('runs no probe during a scrape', async () => {
    let runs = 0;
    const probes = createRegistry({ search: () => void (runs += 1) });
    const { register } = observed(probes);
    for (let count = 0; count < 3; count += 1) await register.metrics();
    await register.getMetricsAsJSON();
    expect(runs).to.equal(0);
  });

  it('returns values as JSON, as OpenMetrics and for a single metric', async () => {
    const probes = createRegistry({ search: () => {} });
    const register = new Registry();
    probeMetrics(probes, { register });
    await probes.run('readiness');
    const all = (await register.getMetricsAsJSON()) as unknown as { name: string; values: { labels: object; value: number }[] }[];
    expect(all.find(({ name }) => name === 'koa_probes_runs_total')?.values[0]).to.deep.include({
      value: 1,
      labels: { probe: 'search', outcome: 'pass' },
    });
    expect(await register.getSingleMetricAsString('koa_probes_runs_total')).to.include('{outcome="pass",probe="search"} 1');
    (register as unknown as { setContentType(type: string): void }).setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
    const text = await register.metrics();
    expect(text).to.include('# TYPE koa_probes_runs counter\nkoa_probes_runs_total{outcome="pass",probe="search"} 1\n');
    expect(text.endsWith('# EOF\n')).to.equal(true);
  });

  it('is aggregated over several processes: a probe is up if it is up in all of them', async () => {
    const [a, b] = [createRegistry({ search: () => {} }), createRegistry({ search: () => false })];
    const parts = await Promise.all(
      [a, b].map(async (probes) => {
        const { register } = observed(probes);
        await probes.run('readiness');
        return register.getMetricsAsJSON();
      }),
    );
    const lines = await scrape(AggregatorRegistry.aggregate(parts), 'probe="search"');
    expect(lines).to.include.members([
      'probe_up{probe="search",kind="readiness"} 0',
      'runs_total{outcome="pass",probe="search"} 1',
      'runs_total{outcome="fail",probe="search"} 1',
      'run_duration_seconds_count{probe="search"} 2',
    ]);
  });

  it('starts at 0 after resetMetrics()', async () => {
    const probes = createRegistry({ search: () => {} });
    const { register } = observed(probes);
    await probes.run('readiness');
    register.resetMetrics();
    expect(await scrape(register, 'outcome="pass"')).to.deep.equal(['runs_total{outcome="pass",probe="search"} 0']);
  });

  it('does not share its values with a Counter of the application', async () => {
    const register = new Registry();
    const requests = new Counter({ name: 'requests_total', help: 'Requests.', registers: [register] });
    requests.inc();
    probeMetrics(createRegistry(), { register });
    expect(await register.metrics())
      .to.include('requests_total 1')
      .and.to.include('koa_probes_lifecycle{state="running"} 1');
  });

  describe('the returned function', () => {
    it('removes the metrics, stops counting, and may be called twice', async () => {
      const probes = createRegistry({ search: () => {} });
      const { register, stop } = observed(probes);
      stop();
      stop();
      expect(register.getMetricsAsArray()).to.deep.equal([]);
      const again = probeMetrics(probes, { register });
      await probes.run('readiness');
      expect(await scrape(register, 'outcome="pass"')).to.deep.equal(['runs_total{outcome="pass",probe="search"} 1']);
      again();
    });
  });

  describe('with several probe registries', () => {
    it('separates them by `labels`, even after one of them was stopped', async () => {
      const register = new Registry();
      const [shop, admin] = [createRegistry({ search: () => {} }), createRegistry({ search: () => false })];
      const stopShop = probeMetrics(shop, { register, labels: { app: 'shop' } });
      probeMetrics(admin, { register, labels: { app: 'admin' } });
      await Promise.all([shop.run('readiness'), admin.run('readiness')]);
      const up = () => scrape(register, 'probe_up{app="');
      expect((await up()).filter((line) => line.includes('search'))).to.deep.equal([
        'probe_up{app="shop",probe="search",kind="readiness"} 1',
        'probe_up{app="admin",probe="search",kind="readiness"} 0',
      ]);
      expect((await register.metrics()).match(/# TYPE koa_probes_probe_up/g)).to.have.length(1);
      stopShop();
      expect((await up()).join())
        .to.include('admin')
        .and.not.to.include('shop');
    });

    it('counts the runs of each registry separately', async () => {
      const [a, b] = [createRegistry({ search: () => {} }), createRegistry({ search: () => {} })];
      const { register } = observed(a);
      observed(b);
      await b.run('readiness');
      expect(await scrape(register, 'outcome="pass"')).to.deep.equal(['runs_total{outcome="pass",probe="search"} 0']);
    });

    it('rejects a second registry with the same labels', () => {
      const register = new Registry();
      probeMetrics(createRegistry(), { register });
      expect(() => probeMetrics(createRegistry(), { register })).to.throw(/called twice .*Give each probe registry its own labels/);
      probeMetrics(createRegistry(), { register, labels: { a: '1', b: '2' } });
      expect(() => probeMetrics(createRegistry(), { register, labels: { b: '2', a: '1' } })).to.throw(/called twice/);
    });
  });

  describe('rejects', () => {
    const probes = new ProbeRegistry({ logger: false });
    const register = new Registry();
    const refusals: Record<string, { call: () => unknown; message: RegExp }> = {
      'options without a register': {
        call: () => probeMetrics(probes, {} as ProbeMetricsOptions),
        message: /`register` of probeMetrics\(\) .*prom-client/,
      },
      'missing options': {
        call: () => probeMetrics(probes, undefined as unknown as ProbeMetricsOptions),
        message: /the options of probeMetrics\(\)/,
      },
      'an object that is not a probe registry': {
        call: () => probeMetrics({} as ProbeRegistry, { register }),
        message: /`probes` of probeMetrics\(\)/,
      },
      'an unknown option': { call: () => probeMetrics(probes, { register, prefix: 'x' } as ProbeMetricsOptions), message: /`prefix`/ },
      'a label that the library uses itself': {
        call: () => probeMetrics(probes, { register, labels: { probe: 'x' } }),
        message: /none of probe, kind/,
      },
      'a label that is not valid in Prometheus': {
        call: () => probeMetrics(probes, { register, labels: { 'a-b': 'x' } }),
        message: /"a-b"/,
      },
      'a label value that is not a string': {
        call: () => probeMetrics(probes, { register, labels: { app: 1 as unknown as string } }),
        message: /label "app" .* to be a string/,
      },
    };
    for (const [title, { call, message }] of Object.entries(refusals)) {
      it(title, () => expect(call).to.throw(message).with.property('code', 'ERR_PROBES_CONFIGURATION'));
    }

    it('a name that the application already uses, and then adds nothing', () => {
      const taken = new Registry();
      taken.registerMetric(new Counter({ name: 'koa_probes_lifecycle', help: 'Mine.', registers: [] }));
      expect(() => probeMetrics(probes, { register: taken })).to.throw(/cannot add koa_probes_lifecycle/);
      expect(taken.getMetricsAsArray()).to.have.length(1);
    });
  });

  describe('with a real Prometheus', function () {
    this.timeout(60_000);

    it('passes promtool check metrics with every series', async () => {
      const slow = new ControlledCheck();
      const probes = createRegistry({ up: () => {}, down: () => false, slow: slow.check }, { timeoutMs: 20 });
      const { register } = observed(probes);
      await probes.run('readiness');
      const { code, output } = await promtool(['check', 'metrics'], await register.metrics());
      expect([code, output]).to.deep.equal([0, '']);
    });

    it('detects an error in metrics with promtool', async () => {
      const { code } = await promtool(['check', 'metrics'], '# HELP a_total A.\n# TYPE a_total gauge\na_total 1\n');
      expect(code).to.equal(3);
    });

    it('is scraped with every metric, with escaped labels, and with the end of a series', async () => {
      const odd = 'a "quoted" \\ back\nline';
      const probes = createRegistry({ search: () => {} });
      const remove = probes.register({ name: 'tenant', kinds: ['readiness'], check: () => {} });
      const { register } = observed(probes, { labels: { app: odd } });
      const handle = new Koa()
        .use(probeMiddleware(probes))
        .use(async (ctx) => {
          ctx.type = register.contentType;
          ctx.body = await register.metrics();
        })
        .callback();
      const server = createServer((request, response) => void handle(request, response)).listen(0, '127.0.0.1');
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      const prometheus = await startPrometheus({ shop: [`127.0.0.1:${String(port)}`] });
      try {
        await ask(`http://127.0.0.1:${String(port)}/readyz`);
        const passes = await untilQueried(prometheus, 'koa_probes_runs_total{outcome="pass",probe="search"} > 0');
        expect(passes[0]?.metric).to.include({ app: odd, job: 'shop' });
        for (const name of NAMES) {
          const expression = name === 'koa_probes_run_duration_seconds' ? `${name}_bucket` : name;
          expect(await prometheus.query(expression), name).to.not.have.length(0);
        }
        const [slowest] = await prometheus.query(
          'histogram_quantile(1, sum by (le, probe) (koa_probes_run_duration_seconds_bucket{probe="search"}))',
        );
        expect(slowest?.value).to.be.within(0, 1);
        await untilQueried(prometheus, 'koa_probes_answers_total{kind="readiness",code="200"} == 1');
        remove();
        await untilQueried(prometheus, '{probe="tenant"}', (series) => series.length === 0);
      } finally {
        await prometheus.stop();
        server.close();
        server.closeAllConnections();
      }
    });
  });
});
