import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel';
import { expect } from 'chai';
import Koa from 'koa';
import { Degraded, probeMiddleware, ProbeRegistry, type ProbeMessages } from 'koa-probes';
import { ask, closeServers, serve } from '../support/http.js';
import { ControlledCheck } from '../support/probes.js';
import { until } from '../support/processes.js';

type RunMessage = ProbeMessages['koa-probes:run'];

const runs = tracingChannel<unknown, RunMessage>('koa-probes:run');
const cleanUps: (() => void)[] = [];

/** The messages of a channel until the test is over. */
function listen<Name extends keyof ProbeMessages>(name: Name): ProbeMessages[Name][] {
  const messages: ProbeMessages[Name][] = [];
  const keep = (message: unknown) => void messages.push(message as ProbeMessages[Name]);
  subscribe(name, keep);
  cleanUps.push(() => unsubscribe(name, keep));
  return messages;
}

/** What each event of the runs says, in order; the function ends it. */
function traceRuns() {
  const events: string[] = [];
  const note =
    (event: string) =>
    ({ probe, outcome }: RunMessage) =>
      void events.push(`${event} ${probe}${outcome === undefined ? '' : ` ${outcome}`}`);
  const subscribers = {
    start: note('start'),
    end: note('end'),
    asyncStart: note('asyncStart'),
    asyncEnd: note('asyncEnd'),
    error: note('error'),
  };
  runs.subscribe(subscribers);
  const stop = () => runs.unsubscribe(subscribers);
  cleanUps.push(stop);
  return { events, stop };
}

function createRegistry(checks: Record<string, () => unknown>, options = {}): ProbeRegistry {
  const registry = new ProbeRegistry({ logger: false });
  for (const [name, check] of Object.entries(checks)) registry.register({ name, kinds: ['readiness'], check, ...options });
  return registry;
}

describe('the diagnostics channels', () => {
  afterEach(() => {
    for (const cleanUp of cleanUps.splice(0)) cleanUp();
    closeServers();
  });

  describe('koa-probes:change', () => {
    it('publishes each change of a status, with the registry', async () => {
      const changes = listen('koa-probes:change');
      let isUp = true;
      const registry = createRegistry({ search: () => isUp });
      await registry.run('readiness');
      isUp = false;
      await registry.run('readiness');
      await registry.run('readiness');
      const ofSearch = changes.filter(({ name }) => name === 'search');
      expect(ofSearch.map(({ result, previous }) => [previous, result.status])).to.deep.equal([
        [undefined, 'pass'],
        ['pass', 'fail'],
      ]);
      expect(ofSearch.every((change) => change.registry === registry)).to.equal(true);
    });
  });

  describe('koa-probes:answer', () => {
    it('publishes each HTTP response: its kind, its code, and the probe if a single one was requested', async () => {
      const answers = listen('koa-probes:answer');
      const registry = createRegistry({ search: () => false });
      const handle = new Koa().use(probeMiddleware(registry)).callback();
      const url = await serve((request, response) => void handle(request, response));
      for (const path of ['/livez', '/readyz', '/readyz/search', '/readyz/unknown', '/']) await ask(url + path);
      expect(answers).to.deep.equal([
        { registry, kind: 'liveness', probe: undefined, code: 200 },
        { registry, kind: 'readiness', probe: undefined, code: 503 },
        { registry, kind: 'readiness', probe: 'search', code: 503 },
        { registry, kind: 'readiness', probe: 'unknown', code: 404 },
      ]);
    });
  });

  describe('koa-probes:run', () => {
    it('publishes each pass after a pass, but no run of the lifecycle', async () => {
      const { events } = traceRuns();
      const registry = createRegistry({ search: () => {} });
      for (let count = 0; count < 3; count += 1) await registry.run('readiness');
      expect(events).to.deep.equal(
        Array.from({ length: 3 }, () => ['start search', 'end search', 'asyncStart search pass', 'asyncEnd search pass']).flat(),
      );
    });

    it('starts to publish when somebody subscribes, and stops with the subscription', async () => {
      const registry = createRegistry({ search: async () => {} });
      for (let count = 0; count < 3; count += 1) await registry.run('readiness');
      const { events, stop } = traceRuns();
      await registry.run('readiness');
      expect(events).to.have.length(4);
      stop();
      const judgedAt = registry.list()[0]?.lastResult?.time ?? Infinity;
      await until(() => Date.now() > judgedAt + 5);
      for (let count = 0; count < 3; count += 1) await registry.run('readiness');
      expect(events).to.have.length(4);
      expect(registry.list()[0]?.lastResult?.time).to.be.greaterThan(judgedAt);
    });

    const broken = new Error('down');
    const outcomes: Record<string, { check: () => unknown; events: readonly string[]; error?: unknown }> = {
      'that passes': { check: async () => {}, events: ['asyncStart a pass', 'asyncEnd a pass'] },
      'that is degraded': {
        check: () => {
          throw new Degraded('slow');
        },
        events: ['asyncStart a pass', 'asyncEnd a pass'],
      },
      'that throws': {
        check: () => {
          throw broken;
        },
        events: ['error a fail', 'asyncStart a fail', 'asyncEnd a fail'],
        error: broken,
      },
      'that rejects': {
        check: () => Promise.reject(broken),
        events: ['error a fail', 'asyncStart a fail', 'asyncEnd a fail'],
        error: broken,
      },
      'that hangs': { check: () => new Promise(() => {}), events: ['error a timeout', 'asyncStart a timeout', 'asyncEnd a timeout'] },
    };
    for (const [title, { check, events: expected, error }] of Object.entries(outcomes)) {
      it(`publishes a run ${title}`, async () => {
        const { events } = traceRuns();
        const ended: RunMessage[] = [];
        const keep = (message: RunMessage) => void ended.push(message);
        runs.asyncEnd.subscribe(keep as never);
        cleanUps.push(() => runs.asyncEnd.unsubscribe(keep as never));
        const registry = createRegistry({ a: check }, { timeoutMs: 20 });
        await registry.run('readiness');
        expect(events).to.deep.equal(['start a', 'end a', ...expected]);
        expect(ended[0]).to.include({ registry, probe: 'a', kind: 'readiness' });
        expect(ended[0]?.durationMs).to.be.within(0, 10_000);
        if (error !== undefined) expect(ended[0]?.error).to.equal(error);
      });
    }

    it('publishes one run for all requests that share it', async () => {
      const { events } = traceRuns();
      const slow = new ControlledCheck();
      const registry = createRegistry({ slow: slow.check });
      const underWay = [registry.run('readiness'), registry.run('readiness'), registry.run('readiness')];
      slow.resolve();
      await Promise.all(underWay);
      expect(events).to.deep.equal(['start slow', 'end slow', 'asyncStart slow pass', 'asyncEnd slow pass']);
    });

    it('does not publish the end of a run whose start was not published', async () => {
      const slow = new ControlledCheck();
      const registry = createRegistry({ slow: slow.check });
      const underWay = registry.run('readiness');
      const { events } = traceRuns();
      slow.resolve();
      await underWay;
      expect(events).to.deep.equal([]);
    });

    it('publishes that a run was canceled if its probe is removed', async () => {
      const { events } = traceRuns();
      const registry = new ProbeRegistry({ logger: false });
      const slow = new ControlledCheck();
      const remove = registry.register({ name: 'slow', kinds: ['readiness'], check: slow.check });
      const underWay = registry.run('readiness');
      remove();
      slow.resolve();
      await underWay;
      await new Promise(setImmediate);
      expect(events).to.deep.equal(['start slow', 'end slow', 'asyncStart slow canceled', 'asyncEnd slow canceled']);
    });

    it('publishes runs in the background', async () => {
      const { events } = traceRuns();
      const registry = createRegistry({ search: () => {} }, { intervalMs: 1 });
      await until(() => events.filter((event) => event === 'asyncEnd search pass').length > 2);
      registry.close();
    });

    const entanglements: Record<string, (registry: ProbeRegistry, remove: () => void) => { check?: () => unknown; onEnd?: () => void }> = {
      'its check removes the probe': (_, remove) => ({ check: remove }),
      'its check closes the registry': (registry) => ({ check: () => registry.close() }),
      'its check runs the kind again': (registry) => ({ check: () => void registry.run('readiness') }),
      'its check settles twice': () => ({
        check: () => ({
          then: (resolve: () => void, reject: (error: Error) => void) => [resolve(), reject(new Error('late')), resolve()],
        }),
      }),
      'a subscriber closes the registry': (registry) => ({ onEnd: () => registry.close() }),
      'a subscriber removes the probe': (_, remove) => ({ onEnd: remove }),
      'a subscriber runs the kind again': (registry) => ({ onEnd: () => void registry.run('readiness', { only: 'other' }) }),
    };
    for (const [title, entangle] of Object.entries(entanglements)) {
      it(`publishes each event of a run once if ${title}`, async () => {
        const { events } = traceRuns();
        const registry = createRegistry({ other: () => {} });
        let step: () => unknown = () => undefined;
        const remove = registry.register({ name: 'a', kinds: ['readiness'], check: () => step() });
        const { check, onEnd } = entangle(registry, remove);
        if (check !== undefined) step = check;
        const subscriber = ({ probe }: RunMessage) => (probe === 'a' ? onEnd?.() : undefined);
        runs.asyncEnd.subscribe(subscriber as never);
        cleanUps.push(() => runs.asyncEnd.unsubscribe(subscriber as never));
        await registry.run('readiness');
        await new Promise(setImmediate);
        const ofA = events.filter((event) => event.includes(' a'));
        for (const event of ['start', 'asyncStart', 'asyncEnd']) expect(ofA.filter((one) => one.startsWith(`${event} `))).to.have.length(1);
      });
    }

    it('runs the check within the stores that are bound to `start`', async () => {
      const storage = new AsyncLocalStorage<string>();
      runs.start.bindStore(storage, (message) => `within ${message.probe}`);
      cleanUps.push(() => void runs.start.unbindStore(storage));
      const seen: (string | undefined)[] = [];
      const registry = createRegistry({
        search: async () => {
          await Promise.resolve();
          seen.push(storage.getStore());
        },
      });
      await registry.run('readiness');
      await registry.run('readiness');
      expect(seen).to.deep.equal(['within search', 'within search']);
      expect(storage.getStore()).to.equal(undefined);
    });
  });
});
