import { expect } from 'chai';
import { ProbeRegistry, type ProbeReport } from 'koa-probes';
import { until } from '../support/processes.js';
import { ControlledCheck, MemoryLogger } from '../support/probes.js';

const statusesOf = ({ results }: Pick<ProbeReport, 'results'>) => results.map(({ name, status }) => `${name} ${status}`);

describe('the function that register() returns', () => {
  it('removes the probe from its kinds, and may be called twice', async () => {
    const registry = new ProbeRegistry({ logger: false });
    const remove = registry.register({ name: 'tenant', kinds: ['liveness', 'readiness'], check: () => false });
    expect((await registry.run('readiness')).status).to.equal('fail');
    remove();
    remove();
    for (const kind of ['liveness', 'readiness'] as const) {
      expect(statusesOf(await registry.run(kind))).to.deep.equal(['lifecycle pass']);
      expect(registry.has(kind, 'tenant')).to.equal(false);
    }
    expect(registry.list()).to.deep.equal([]);
  });

  it('takes effect at once, even for a run that is starting its checks', async () => {
    const registry = new ProbeRegistry({ logger: false });
    let remove: (() => void) | undefined;
    let runs = 0;
    registry.register({ name: 'first', kinds: ['readiness'], check: () => remove?.() });
    for (const hasPassed of [false, true]) {
      const take = registry.register({ name: 'second', kinds: ['readiness'], check: () => void (runs += 1) });
      if (hasPassed) await registry.run('readiness');
      const before = runs;
      remove = take;
      expect(statusesOf(await registry.run('readiness'))).to.deep.equal(['lifecycle pass', 'first pass', 'second excluded']);
      expect(runs).to.equal(before);
      remove = undefined;
    }
  });

  it('frees the name, and does not remove a later probe of that name', async () => {
    const registry = new ProbeRegistry({ logger: false });
    const remove = registry.register({ name: 'tenant', kinds: ['readiness'], check: () => {} });
    remove();
    registry.register({ name: 'tenant', kinds: ['readiness'], check: () => false });
    remove();
    expect(statusesOf(await registry.run('readiness'))).to.deep.equal(['lifecycle pass', 'tenant fail']);
  });

  it('lets requests in flight be answered without the probe, and aborts its signal', async () => {
    const logger = new MemoryLogger();
    const registry = new ProbeRegistry({ logger });
    let signal: AbortSignal | undefined;
    const remove = registry.register({
      name: 'tenant',
      kinds: ['readiness'],
      check: (context) => new Promise((_, reject) => (signal = context.signal).addEventListener('abort', reject)),
    });
    const underWay = [registry.run('readiness'), registry.run('readiness')];
    remove();
    for (const report of await Promise.all(underWay)) expect(statusesOf(report)).to.deep.equal(['lifecycle pass', 'tenant excluded']);
    expect(signal?.aborted).to.equal(true);
    await new Promise(setImmediate);
    expect(logger.lines).to.deep.equal([]);
  });

  it('ends the background runs', async () => {
    const registry = new ProbeRegistry({ logger: false });
    let runs = 0;
    const remove = registry.register({ name: 'tenant', kinds: ['readiness'], intervalMs: 1, check: () => void (runs += 1) });
    await until(() => runs > 2);
    remove();
    const before = runs;
    registry.register({ name: 'other', kinds: ['readiness'], intervalMs: 1, check: () => void (runs += 1_000) });
    await until(() => runs > before + 3_000);
    expect((runs - before) % 1_000).to.equal(0);
    registry.close();
  });

  it('lets readiness pass if it waited for that startup probe', async () => {
    const registry = new ProbeRegistry({ logger: false });
    const remove = registry.register({ name: 'warm-up', kinds: ['startup'], check: () => false });
    expect((await registry.run('readiness')).status).to.equal('fail');
    remove();
    expect(registry.lifecycle.state).to.equal('running');
    expect((await registry.run('readiness')).status).to.equal('pass');
  });

  it('lets the probe be added again any number of times', async () => {
    const registry = new ProbeRegistry({ logger: false });
    for (let index = 0; index < 50; index += 1) {
      const remove = registry.register({ name: `tenant-${String(index)}`, kinds: ['readiness'], check: () => {} });
      expect(statusesOf(await registry.run('readiness'))).to.deep.equal(['lifecycle pass', `tenant-${String(index)} pass`]);
      remove();
    }
    expect(statusesOf(await registry.run('readiness'))).to.deep.equal(['lifecycle pass']);
  });
});

describe('list()', () => {
  it('returns copies that cannot change a probe', async () => {
    const registry = new ProbeRegistry({ logger: false });
    registry.register({ name: 'search', kinds: ['readiness'], check: () => {} });
    for (const { kinds, options } of registry.list()) {
      (kinds as string[]).push('liveness');
      Object.assign(options, { timeoutMs: 1 });
    }
    expect(registry.list()[0]).to.deep.include({ kinds: ['readiness'] });
    expect(registry.list()[0]?.options.timeoutMs).to.equal(800);
    expect(registry.has('liveness', 'search')).to.equal(false);
  });

  it('returns the options of each probe, where they come from, and its last result, without a run', async () => {
    const registry = new ProbeRegistry({ logger: false });
    const check = new ControlledCheck();
    registry.register({ name: 'search', kinds: ['readiness'], timeoutMs: 500, check: check.check });
    const [before] = registry.list();
    expect(before).to.deep.include({ name: 'search', kinds: ['readiness'], className: undefined, lastResult: undefined });
    expect(before?.options).to.include({ timeoutMs: 500, critical: true });
    expect(before?.sources).to.include({ name: 'register', timeoutMs: 'register', critical: 'default' });
    expect(check.runs).to.equal(0);
  });

  it('returns the latest result after a failure, after the following pass, and after passes that change nothing', async () => {
    const registry = new ProbeRegistry({ logger: false });
    let error: Error | undefined = new Error('down');
    registry.register({
      name: 'search',
      kinds: ['readiness'],
      check: async () => {
        if (error) throw error;
      },
    });
    const last = () => registry.list()[0]?.lastResult;
    await registry.run('readiness');
    expect(last()).to.include({ name: 'search', status: 'fail', error });
    error = undefined;
    await registry.run('readiness');
    expect(last()).to.include({ status: 'pass', error: undefined });
    const judgedAt = last()?.time ?? Infinity;
    await until(() => Date.now() > judgedAt + 5);
    await registry.run('readiness');
    expect(last()?.status).to.equal('pass');
    expect(last()?.time).to.be.greaterThan(judgedAt);
    expect(last()?.durationMs).to.be.within(0, 1_000);
    error = new Error('down again');
    await registry.run('readiness');
    expect(last()).to.include({ status: 'fail', error });
  });
});

describe('status(kind)', () => {
  it('keeps the latest pass while the next run is in flight', async () => {
    const registry = new ProbeRegistry({ logger: false });
    const check = new ControlledCheck();
    registry.register({ name: 'search', kinds: ['readiness'], check: check.check });
    const times: number[] = [];
    for (let runs = 0; runs < 4; runs += 1) {
      const running = registry.run('readiness');
      if (runs > 0) times.push(registry.status('readiness').results[1]?.time ?? NaN);
      check.resolve();
      await running;
      times.push(registry.status('readiness').results[1]?.time ?? NaN);
      const now = Date.now();
      await until(() => Date.now() > now + 2);
    }
    expect(times).to.deep.equal(times.toSorted((one, other) => one - other));
    expect(new Set(times).size).to.equal(4);
  });

  it('is unknown before the first run, and contains the last known results after it', async () => {
    const registry = new ProbeRegistry({ logger: false });
    const check = new ControlledCheck();
    registry.register({ name: 'search', kinds: ['readiness'], check: check.check });
    expect(registry.status('readiness')).to.deep.equal({
      kind: 'readiness',
      status: 'unknown',
      results: [],
      pending: ['lifecycle', 'search'],
    });
    const running = registry.run('readiness');
    check.resolve();
    await running;
    expect(statusesOf(registry.status('readiness'))).to.deep.equal(['lifecycle pass', 'search pass']);
    expect(registry.status('readiness')).to.deep.include({ status: 'pass', pending: [] });
    expect(check.runs).to.equal(1);
  });

  it('contains a toggle at once', async () => {
    const registry = new ProbeRegistry({ logger: false });
    await registry.run('readiness');
    registry.lifecycle.setReady(false, 'maintenance');
    expect(registry.status('readiness').status).to.equal('fail');
    expect(registry.status('readiness').results[0]?.failure?.reason).to.equal('maintenance');
  });

  it('fails as soon as one probe is known to fail, even if others are unknown', async () => {
    const registry = new ProbeRegistry({ logger: false });
    registry.register({ name: 'down', kinds: ['readiness'], check: () => false });
    registry.register({ name: 'unknown', kinds: ['readiness'], check: () => {} });
    await registry.run('readiness', { only: 'down' });
    expect(registry.status('readiness')).to.deep.include({ status: 'fail', pending: ['lifecycle', 'unknown'] });
  });

  it('keeps the pass of a startup probe', async () => {
    const registry = new ProbeRegistry({ logger: false });
    registry.register({ name: 'warm-up', kinds: ['startup'], check: () => {} });
    await registry.run('startup');
    expect(registry.status('startup').status).to.equal('pass');
  });

  it('fails for readiness once the registry is closed', async () => {
    const registry = new ProbeRegistry({ logger: false });
    await registry.run('readiness');
    registry.close();
    expect(registry.status('readiness').status).to.equal('fail');
  });

  it('rejects an unknown kind', () => {
    expect(() => new ProbeRegistry({ logger: false }).status('ready' as 'readiness')).to.throw(/`kind` of status\(\)/);
  });
});

describe('a check that passes after its timeout', () => {
  it('is logged once, with its time and the cure, until it passes in time again', async () => {
    const logger = new MemoryLogger();
    const registry = new ProbeRegistry({ logger });
    const slow = new ControlledCheck();
    registry.register({ name: 'search', kinds: ['readiness'], timeoutMs: 20, check: slow.check });
    const late = () => logger.lines.filter((line) => line.includes('passed after'));
    for (let outage = 1; outage <= 2; outage += 1) {
      for (let runs = 0; runs < 3; runs += 1) {
        await registry.run('readiness');
        slow.resolve();
        await new Promise(setImmediate);
      }
      expect(late()).to.have.length(outage);
      const inTime = registry.run('readiness');
      slow.resolve();
      await inTime;
    }
    expect(late()[0]).to.match(
      /^warn koa-probes: readiness probe search passed after \d+ ms, later than its `timeoutMs` \(20 ms\)\. Raise `timeoutMs`/,
    );
  });

  it('is not logged if it fails late', async () => {
    const logger = new MemoryLogger();
    const registry = new ProbeRegistry({ logger });
    const slow = new ControlledCheck();
    registry.register({ name: 'search', kinds: ['readiness'], timeoutMs: 20, check: slow.check });
    await registry.run('readiness');
    slow.reject(new Error('down'));
    await new Promise(setImmediate);
    expect(logger.lines.join()).not.to.include('passed after');
  });
});
