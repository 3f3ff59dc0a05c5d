import { expect } from 'chai';
import { Degraded, NotReady, ProbeRegistry, type ProbeDefinition, type ProbeReport } from 'koa-probes';
import { MemoryLogger } from '../support/probes.js';

const runOnce = (check: ProbeDefinition['check'], logger = new MemoryLogger()): Promise<ProbeReport> => {
  const registry = new ProbeRegistry({ logger });
  registry.register({ name: 'odd', kinds: ['readiness'], check });
  return registry.run('readiness', { only: 'odd' });
};

describe('the value that a check returns', () => {
  const failing: [object, string][] = [
    [{ ok: false }, '{ ok: false }'],
    [{ ok: 0 }, '{ ok: 0 }'],
    [{ healthy: false }, '{ healthy: false }'],
    [{ isHealthy: false, latencyMs: 3 }, '{ isHealthy: false }'],
    [{ Healthy: false }, '{ Healthy: false }'],
    [{ alive: false }, '{ alive: false }'],
    [{ connected: false }, '{ connected: false }'],
    [{ success: false }, '{ success: false }'],
    [{ status: 'down' }, '{ status: "down" }'],
    [{ status: 'DOWN' }, '{ status: "DOWN" }'],
    [{ Status: 'Unhealthy' }, '{ Status: "Unhealthy" }'],
    [{ status: 'OUT_OF_SERVICE' }, '{ status: "OUT_OF_SERVICE" }'],
    [{ status: 'not ready' }, '{ status: "not ready" }'],
    [{ status: 'fail' }, '{ status: "fail" }'],
    [{ status: 'error' }, '{ status: "error" }'],
    [{ state: 'FAILED' }, '{ state: "FAILED" }'],
    [{ health: 'critical' }, '{ health: "critical" }'],
    [{ status: false }, '{ status: false }'],
    [{ is_healthy: false }, '{ is_healthy: false }'],
    [{ healthy: 'false' }, '{ healthy: "false" }'],
    [{ healthy: 0 }, '{ healthy: 0 }'],
    [{ up: 'no' }, '{ up: "no" }'],
    [{ status: 'NOT_SERVING' }, '{ status: "NOT_SERVING" }'],
    [{ status: 'not healthy' }, '{ status: "not healthy" }'],
    [{ status: 'timeout' }, '{ status: "timeout" }'],
    [{ db: { state: 'warn', ok: false } }, '{ db.ok: false }'],
    [{ ...Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`k${String(index)}`, 1])), ok: false }, '{ ok: false }'],
    [{ database: { status: 'down' } }, '{ database.status: "down" }'],
    [{ database: { status: 'up' }, search: { up: false } }, '{ search.up: false }'],
    [{ status: 'degraded', database: { status: 'down' } }, '{ database.status: "down" }'],
    [Object.assign(Object.create(null) as object, { ok: false }), '{ ok: false }'],
  ];
  for (const [value, said] of failing) {
    it(`fails the check if it is ${said}, and is shown only to the operator`, async () => {
      for (const check of [() => value, async () => value]) {
        const { status, results } = await runOnce(check);
        expect(status).to.equal('fail');
        expect(results[0]?.failure).to.deep.equal({
          detail: `the check returned ${said}`,
          reason: 'reason withheld',
          statusCode: 503,
        });
      }
    });
  }

  it('is described to the operator if it is a degraded object', async () => {
    const { results } = await runOnce(() => ({ db: { status: 'degraded', error: 'user=admin host=10.0.0.3' } }));
    expect(results[0]?.failure).to.include({
      reason: 'the check returned { db.status: "degraded" }',
      detail: 'the check returned { db.status: "degraded" }: user=admin host=10.0.0.3',
    });
  });

  it('is shortened if its texts are long', async () => {
    const long = 'x'.repeat(50_000_000);
    const { results } = await runOnce(() => ({ status: 'down', message: long, other: long }));
    expect(results[0]?.failure?.detail.length).to.be.within(1, 1_000);
    expect((await runOnce(() => ({ status: `down${long}`, message: long }))).status).to.equal('pass');
  });

  it('fails the check if it is a failed Response, and passes if the Response is ok', async () => {
    const { status, results } = await runOnce(async () => new Response('x', { status: 503 }));
    expect([status, results[0]?.failure?.detail]).to.deep.equal(['fail', 'the check returned a Response with status 503']);
    expect((await runOnce(async () => new Response('x'))).status).to.equal('pass');
  });

  it('adds the message of the object to the failure', async () => {
    const { results } = await runOnce(() => ({ status: 'down', message: 'no\nleader' }));
    expect(results[0]?.failure?.detail).to.equal('the check returned { status: "down" }: no leader');
  });

  const passing: unknown[] = [
    'PONG',
    'down',
    0,
    '',
    null,
    true,
    [],
    [{ status: 'down' }],
    new Map([['ok', false]]),
    new (class Client {
      ok = false;
    })(),
    {},
    { ok: true },
    { ok: 1 },
    { status: 'up' },
    { status: 'ok', failed: 0, errors: 3 },
    { status: 'OK', lastError: 'none' },
    { status: 200 },
    { isOn: false, cached: false, leader: false },
    { database: { status: 'up', message: 'down for a minute yesterday' } },
  ];
  for (const value of passing) {
    it(`passes the check if it is ${value instanceof Map ? 'a Map' : JSON.stringify(value)}`, async () => {
      expect((await runOnce(async () => value)).status).to.equal('pass');
    });
  }

  for (const word of ['warn', 'WARNING', 'Degraded']) {
    it(`degrades the check if it is { status: "${word}" }`, async () => {
      const { status, results } = await runOnce(() => ({ status: word }));
      expect([status, results[0]?.error]).to.satisfy(([first, error]: unknown[]) => first === 'warn' && Degraded.is(error));
    });
  }
});

describe('throw new Degraded(message)', () => {
  it('answers 200 with the status `warn`, and shows its message to everybody', async () => {
    const logger = new MemoryLogger();
    const { status, results } = await runOnce(() => degrade('slow shards', { cause: new Error('shard 7') }), logger);
    expect([status, results[0]?.status]).to.deep.equal(['warn', 'warn']);
    expect(results[0]?.failure).to.include({ reason: 'slow shards', detail: 'slow shards: shard 7' });
    expect(logger.lines).to.deep.equal(['warn koa-probes: readiness probe odd is degraded: slow shards: shard 7']);
  });

  it('is recognized by its tag, and always has a message', () => {
    expect(Degraded.is(new Degraded('slow'))).to.equal(true);
    expect(Degraded.is(new NotReady('slow'))).to.equal(false);
    expect(new Degraded(' ').message).to.equal('degraded');
    expect(new Degraded('slow')).to.include({ name: 'Degraded', code: 'ERR_PROBES_DEGRADED' });
  });

  /** `p` passes, `f` fails, `d` is degraded. */
  const statusesOf = async (outcomes: string, options: Partial<ProbeDefinition>) => {
    const registry = new ProbeRegistry({ logger: false });
    let at = 0;
    const check = () => {
      const outcome = outcomes[at++];
      if (outcome === 'f') throw new Error('down');
      if (outcome === 'd') throw new Degraded('slow');
    };
    registry.register({ name: 'odd', kinds: ['readiness'], check, ...options });
    const statuses: string[] = [];
    for (const _ of outcomes) statuses.push((await registry.run('readiness', { only: 'odd' })).status);
    return statuses.join(' ');
  };

  it('does not reset the count of failures', async () => {
    expect(await statusesOf('pfdf', { failureThreshold: 2 })).to.equal('pass warn warn fail');
    expect(await statusesOf('pfpf', { failureThreshold: 2 })).to.equal('pass warn pass warn');
  });

  it('is not a failure, no matter how often it happens', async () => {
    expect(await statusesOf('dddd', { failureThreshold: 2 })).to.equal('warn warn warn warn');
    expect(await statusesOf('pdddf', { failureThreshold: 2 })).to.equal('pass warn warn warn warn');
  });

  it('ends an outage, because a degraded dependency works', async () => {
    expect(await statusesOf('fdp', {})).to.equal('fail warn pass');
    expect(await statusesOf('fdd', { successThreshold: 2 })).to.equal('fail fail warn');
  });

  it('stays `warn` if the probe is not critical', async () => {
    expect(await statusesOf('dfp', { critical: false })).to.equal('warn warn pass');
  });

  it('is not the pass that a startup probe needs', async () => {
    const registry = new ProbeRegistry({ logger: false });
    let isWarm = false;
    registry.register({
      name: 'warm-up',
      kinds: ['startup'],
      check: () => (isWarm ? undefined : degrade('half of the cache is filled')),
    });
    expect((await registry.run('startup')).status).to.equal('warn');
    expect((await registry.run('readiness')).results[0]?.failure?.reason).to.equal('starting: waiting for warm-up');
    isWarm = true;
    expect((await registry.run('readiness')).status).to.equal('pass');
  });
});

function degrade(message: string, options?: ErrorOptions): never {
  throw new Degraded(message, options);
}
