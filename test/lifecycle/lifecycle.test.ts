import { expect } from 'chai';
import { ProbeRegistry, type ProbeKind } from 'koa-probes';
import { ControlledCheck, MemoryLogger } from '../support/probes.js';

async function answerOf(registry: ProbeRegistry, kind: ProbeKind): Promise<string> {
  const { status, results } = await registry.run(kind);
  const { error } = results.find(({ name }) => name === 'lifecycle') ?? {};
  return error instanceof Error ? `${status}: ${error.message}` : status;
}

describe('lifecycle', () => {
  let logger: MemoryLogger;
  let registry: ProbeRegistry;
  beforeEach(() => {
    logger = new MemoryLogger();
    registry = new ProbeRegistry({ logger });
  });

  describe('while starting', () => {
    it('fails readiness and passes liveness until every startup probe has passed once', async () => {
      const done = { schema: false, cache: false };
      registry.register({ name: 'schema', kinds: ['startup'], check: () => done.schema });
      registry.register({ name: 'cache', kinds: ['startup'], check: () => done.cache });
      expect(registry.lifecycle.state).to.equal('starting');
      expect(await answerOf(registry, 'readiness')).to.equal('fail: starting: waiting for schema, cache');
      expect(await answerOf(registry, 'liveness')).to.equal('pass');
      done.schema = true;
      expect((await registry.run('startup')).status).to.equal('fail');
      expect(await answerOf(registry, 'readiness')).to.equal('fail: starting: waiting for cache');
      done.schema = false;
      done.cache = true;
      expect(await answerOf(registry, 'readiness')).to.equal('pass');
      expect(registry.lifecycle.state).to.equal('running');
      expect((await registry.run('startup')).status).to.equal('pass');
    });

    it('does not run a startup probe again once it has passed', async () => {
      let runs = 0;
      registry.register({ name: 'schema', kinds: ['startup'], check: () => void (runs += 1) });
      await registry.run('readiness');
      await registry.run('readiness');
      await registry.run('startup');
      await registry.run('startup', { only: 'schema' });
      expect(runs).to.equal(1);
    });

    it('answers readiness within its deadline even if a startup probe takes longer', async () => {
      const slow = new ControlledCheck();
      registry.register({ name: 'schema', kinds: ['startup'], timeoutMs: 60_000, check: slow.check });
      expect(await answerOf(registry, 'readiness')).to.equal('fail: starting: waiting for schema');
      const waiting = registry.run('startup');
      slow.resolve();
      expect((await waiting).status).to.equal('pass');
      expect(slow.runs).to.equal(1);
    });

    it('counts a pass for both kinds if a probe is a startup and a readiness probe', async () => {
      registry.register({ name: 'schema', kinds: ['startup', 'readiness'], check: () => {} });
      const { results } = await registry.run('readiness');
      expect(results.map(({ name }) => name)).to.deep.equal(['lifecycle', 'schema']);
      expect(registry.lifecycle.state).to.equal('running');
    });
  });

  describe('setReady(isReady, reason)', () => {
    it('turns readiness off with its reason, and on again, and does not change liveness', async () => {
      registry.lifecycle.setReady(false, 'maintenance');
      expect(await answerOf(registry, 'readiness')).to.equal('fail: maintenance');
      expect(await answerOf(registry, 'liveness')).to.equal('pass');
      registry.lifecycle.setReady(true);
      expect(await answerOf(registry, 'readiness')).to.equal('pass');
    });

    it('reports the change at once, in the log and as an event', () => {
      const seen: string[] = [];
      registry.on('change', ({ name, kinds, result }) => seen.push(`${kinds.join()} ${name} ${result.status}`));
      registry.lifecycle.setReady(false, 'maintenance');
      registry.lifecycle.setReady(true);
      expect(seen).to.deep.equal(['liveness lifecycle pass', 'readiness lifecycle fail', 'readiness lifecycle pass']);
      expect(logger.lines.map((line) => line.replace(/\d+ ms/, 'N ms'))).to.deep.equal([
        'warn koa-probes: readiness probe lifecycle failed: maintenance',
        'info koa-probes: readiness probe lifecycle passes for the first time after N ms, 1 run failed',
      ]);
    });

    it('applies to a request in flight', async () => {
      const slow = new ControlledCheck();
      registry.register({ name: 'slow', kinds: ['readiness'], check: slow.check });
      const answer = answerOf(registry, 'readiness');
      registry.lifecycle.setReady(false, 'maintenance');
      slow.resolve();
      expect(await answer).to.equal('fail: maintenance');
    });

    it('rejects anything but a boolean', () => {
      expect(() => registry.lifecycle.setReady('false' as never)).to.throw(TypeError, /`isReady`.*true or false, got "false"/);
      expect(() => registry.lifecycle.setLive(undefined as never)).to.throw(TypeError, /`isLive`/);
    });
  });

  describe('setLive(isLive, reason)', () => {
    it('turns liveness off with its reason, and on again, and does not change readiness', async () => {
      registry.lifecycle.setLive(false, 'the worker is stuck');
      expect(await answerOf(registry, 'liveness')).to.equal('fail: the worker is stuck');
      expect(await answerOf(registry, 'readiness')).to.equal('pass');
      registry.lifecycle.setLive(true);
      expect(await answerOf(registry, 'liveness')).to.equal('pass');
    });
  });

  describe('hold(reason)', () => {
    it('holds readiness off until every hold is released by its own function, which may be called twice', async () => {
      const releaseCache = registry.lifecycle.hold('the cache is filled');
      const releaseOther = registry.lifecycle.hold('the cache is filled');
      releaseCache();
      releaseCache();
      expect(await answerOf(registry, 'readiness')).to.equal('fail: the cache is filled');
      releaseOther();
      expect(await answerOf(registry, 'readiness')).to.equal('pass');
    });

    it('rejects a missing reason', () => {
      expect(() => registry.lifecycle.hold(undefined as never)).to.throw(TypeError, /`reason` to be a non-empty string, got `undefined`/);
      expect(() => registry.lifecycle.setReady(false, '')).to.throw(TypeError, /`reason`/);
    });

    it('is independent of setReady()', async () => {
      const release = registry.lifecycle.hold('the cache is filled');
      registry.lifecycle.setReady(false, 'maintenance');
      expect(await answerOf(registry, 'readiness')).to.equal('fail: maintenance; the cache is filled');
      release();
      expect(await answerOf(registry, 'readiness')).to.equal('fail: maintenance');
    });
  });

  describe('drain(reason)', () => {
    it('fails readiness permanently and keeps liveness at 200', async () => {
      registry.lifecycle.drain();
      registry.lifecycle.drain('a second reason');
      expect(registry.lifecycle.state).to.equal('draining');
      expect(await answerOf(registry, 'readiness')).to.equal('fail: draining');
      expect(await answerOf(registry, 'liveness')).to.equal('pass');
    });

    it('makes a later setReady(true) have no effect but a warning', async () => {
      registry.lifecycle.drain();
      registry.lifecycle.setReady(true);
      expect(await answerOf(registry, 'readiness')).to.equal('fail: draining');
      expect(logger.lines.at(-1)).to.include('setReady(true) is ignored');
    });

    it('applies to a request in flight', async () => {
      const slow = new ControlledCheck();
      registry.register({ name: 'slow', kinds: ['readiness'], check: slow.check });
      const answer = answerOf(registry, 'readiness');
      registry.lifecycle.drain();
      slow.resolve();
      expect(await answer).to.equal('fail: draining');
    });

    it('is reported in the log and as an event, even if readiness was already off', () => {
      registry.lifecycle.setReady(false, 'maintenance');
      registry.lifecycle.drain();
      expect(logger.lines.at(-1)).to.equal('info koa-probes: readiness probe lifecycle failed: draining; maintenance');
    });

    it('keeps liveness at 200 even after setLive(false), because a restart would cut off requests in flight', async () => {
      registry.lifecycle.setLive(false, 'stuck');
      registry.lifecycle.drain();
      expect(await answerOf(registry, 'liveness')).to.equal('pass');
    });

    it('takes precedence over starting', async () => {
      registry.register({ name: 'schema', kinds: ['startup'], check: () => false });
      registry.lifecycle.drain();
      expect(registry.lifecycle.state).to.equal('draining');
    });
  });
});
