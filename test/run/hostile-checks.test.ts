import FakeTimers from '@sinonjs/fake-timers';
import { expect } from 'chai';
import {
  NotReady,
  probeServer,
  ProbeRegistry,
  ProbeTimeoutError,
  type ProbeContext,
  type ProbeDefinition,
  type ProbeResult,
} from 'koa-probes';
import { ask, urlOf } from '../support/http.js';
import { until } from '../support/processes.js';
import { MemoryLogger } from '../support/probes.js';

function registryOf(check: ProbeDefinition['check'], options: Partial<ProbeDefinition> = {}, logger = new MemoryLogger()): ProbeRegistry {
  const registry = new ProbeRegistry({ logger });
  registry.register({ name: 'odd', kinds: ['readiness'], check, ...options });
  return registry;
}

async function runOnce(registry: ProbeRegistry): Promise<ProbeResult> {
  const [result] = (await registry.run('readiness', { only: 'odd' })).results;
  if (result === undefined) throw new Error('The report is empty.');
  return result;
}

describe('a check that tampers with its context', () => {
  const problems: unknown[] = [];
  const keep = (problem: unknown) => problems.push(problem);
  before(() => process.on('uncaughtException', keep).on('unhandledRejection', keep));
  after(() => process.off('uncaughtException', keep).off('unhandledRejection', keep));
  afterEach(() => expect(problems).to.deep.equal([]));

  const untilAborted = (signal: AbortSignal) => new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
  const cases: Record<string, (context: ProbeContext) => unknown> = {
    'freezes its abort reason': async ({ signal }) => {
      await untilAborted(signal);
      Object.freeze(signal.reason);
      throw new Error('gave up');
    },
    'makes the message of its abort reason throw': async ({ signal }) => {
      await untilAborted(signal);
      Object.defineProperty(signal.reason, 'message', { get: () => fail(new Error('no message')) });
      throw new Error('gave up');
    },
    'writes a secret into its abort reason': async ({ signal }) => {
      await untilAborted(signal);
      (signal.reason as Error).message = 'secret';
      throw new Error('gave up');
    },
    'rejects with its frozen abort reason': async ({ signal }) => {
      await untilAborted(signal);
      throw Object.freeze(signal.reason);
    },
    'freezes its signal': ({ signal }) => new Promise(() => Object.freeze(signal)),
    'freezes its context': (context) => (Object.freeze(context), untilAborted(context.signal)),
    'writes to its context': (context) => {
      Object.defineProperties(context, { kind: { value: 'startup' }, signal: { get: () => fail(new Error('no signal')) } });
      return new Promise(() => {});
    },
  };
  for (const [name, check] of Object.entries(cases)) {
    it(`times out like any other in every run if it ${name}`, async () => {
      const registry = registryOf(check, { timeoutMs: 20 });
      for (let runs = 0; runs < 2; runs += 1) {
        const { status, failure } = await runOnce(registry);
        expect(status).to.equal('fail');
        expect(failure?.reason).to.match(/^(timed out after 20 ms|still running after \d+ ms)$/);
      }
      registry.close();
    });
  }

  it('does not share the error of its result with its signal', async () => {
    let signal: AbortSignal | undefined;
    const registry = registryOf(
      (context) => {
        ({ signal } = context);
        return untilAborted(signal);
      },
      { timeoutMs: 20 },
    );
    const { error } = await runOnce(registry);
    expect(error).to.satisfy(ProbeTimeoutError.is);
    expect(error).not.to.equal(signal?.reason);
  });
});

describe('a check that returns a thenable', () => {
  type Callbacks = [resolve: (value?: unknown) => void, reject: (error: unknown) => void];
  const impostors: Record<string, (then: (...callbacks: Callbacks) => unknown) => unknown> = {
    'an object whose constructor is Promise': (then) => ({ constructor: Promise, then }),
    'an object with the prototype of a promise': (then) => Object.assign(Object.create(Promise.prototype) as object, { then }),
    'a promise with its own `then`': (then) => Object.assign(Promise.resolve(), { then }),
    'a promise of a subclass with its own `then`': (then) => {
      class Query extends Promise<unknown> {
        override then = then as never;
      }
      return Query.resolve();
    },
  };
  for (const [name, make] of Object.entries(impostors)) {
    it(`uses the first call of ${name}, and ignores a second one in the next run`, async () => {
      let callAgain: (() => void) | undefined;
      let runs = 0;
      const registry = registryOf(
        () => {
          runs += 1;
          if (runs > 1) return new Promise(() => {});
          return make((resolve) => {
            callAgain = resolve;
            resolve();
          });
        },
        { timeoutMs: 50 },
      );
      expect((await runOnce(registry)).status).to.equal('pass');
      const hanging = runOnce(registry);
      callAgain?.();
      expect((await hanging).failure?.reason).to.equal('timed out after 50 ms');
      registry.close();
    });
  }

  it('fails if the object only looks like a promise', async () => {
    const { status, failure } = await runOnce(registryOf(() => Object.create(Promise.prototype) as object));
    expect(status).to.equal('fail');
    expect(failure?.detail).to.include('incompatible receiver');
  });
});

describe('a check that throws or returns something huge', () => {
  const huge: Record<string, () => unknown> = {
    'an array of bytes': () => new Uint8Array(50_000_000),
    'an array': () => Array.from({ length: 5_000_000 }, () => 1),
    'a bigint': () => 7n ** 2_000_000n,
    'an object with a huge `toString()`': () => ({ toString: () => 'x'.repeat(100_000_000) }),
    'an error with a huge message': () => new Error('x y\n'.repeat(10_000_000)),
    'an error with ten thousand causes': () => {
      let error = new Error('the first');
      for (let count = 0; count < 10_000; count += 1) error = new Error('wrapped', { cause: error });
      return error;
    },
  };
  for (const [name, make] of Object.entries(huge)) {
    it(`is described in one short line if it throws ${name}`, async () => {
      const thrown = make();
      const { failure } = await runOnce(registryOf(() => fail(thrown)));
      expect(failure?.detail.length).to.be.within(1, 1_000);
    });
  }

  it('reports the type of a thrown value, and its message if it has one', async () => {
    const detailOf = async (thrown: unknown) => (await runOnce(registryOf(() => fail(thrown)))).failure?.detail;
    expect(await detailOf(new Uint8Array(3))).to.equal('Uint8Array was thrown');
    expect(await detailOf({})).to.equal('Object was thrown');
    expect(await detailOf(Object.create(null))).to.equal('an object was thrown');
    expect(await detailOf({ message: 'no leader' })).to.equal('no leader');
    expect(await detailOf(5n)).to.equal('a bigint was thrown');
    expect(await detailOf(Symbol('down'))).to.equal('Symbol(down) was thrown');
  });

  it('keeps a hundred entries of its data, and the start of a long text', async () => {
    const many = Object.fromEntries(Array.from({ length: 20_000 }, (_, index) => [`key${String(index)}`, index]));
    const { data } = await runOnce(registryOf(() => many));
    expect(Object.keys(data ?? {})).to.have.length(100);
    const { data: text } = await runOnce(registryOf(() => ({ text: 'x'.repeat(10_000_000) })));
    expect(text?.['text']).to.equal(`${'x'.repeat(1_000)}…`);
  });
});

describe('a check that returns or throws a value that cannot be inspected', () => {
  const problems: unknown[] = [];
  const keep = (problem: unknown) => problems.push(problem);
  before(() => process.on('uncaughtException', keep).on('unhandledRejection', keep));
  after(() => process.off('uncaughtException', keep).off('unhandledRejection', keep));

  const trap = (target: object, throwsFrom = 1) => {
    let times = 0;
    return new Proxy(target, {
      getPrototypeOf(one) {
        times += 1;
        if (times >= throwsFrom) throw new Error('no prototype');
        return Reflect.getPrototypeOf(one);
      },
    });
  };
  const unreadable: Record<string, () => unknown> = {
    'returns an object whose getter throws a proxy': () => Object.defineProperty({}, 'a', { enumerable: true, get: () => fail(trap({})) }),
    'returns a proxy of an error that can be read once': () => trap(new Error('x'), 2),
    'throws a proxy': () => fail(trap({})),
    'throws a NotReady whose message is an object': () => {
      const message = { slice: () => message, replace: () => message, trim: () => ({ toString: () => fail(new Error('boom')) }) };
      fail(Object.assign(new NotReady('x'), { message }));
    },
    'throws an error whose causes cannot be read': () =>
      fail(Object.defineProperty(new Error('x'), 'cause', { get: () => fail(trap({})) })),
  };
  for (const [name, check] of Object.entries(unreadable)) {
    for (const [way, wrapped] of Object.entries({ 'at once': check, later: async () => check() })) {
      it(`fails in every run with a 503 response if it ${name}, ${way}`, async () => {
        const registry = registryOf(wrapped);
        for (let runs = 0; runs < 2; runs += 1) expect((await runOnce(registry)).status).to.equal('fail');
        const server = await probeServer(registry, { port: 0, host: '127.0.0.1', details: 'all' });
        for (const accept of ['*/*', 'application/json'])
          expect((await ask(`${urlOf(server)}/readyz`, { headers: { accept } })).status).to.equal(503);
        registry.close();
        expect(problems).to.deep.equal([]);
      });
    }
  }

  it('describes nested lists of errors without a message, and reads only some of them', async () => {
    let reads = 0;
    const nest = (depth: number): AggregateError =>
      Object.defineProperty(new AggregateError([]), 'errors', {
        get: () => {
          reads += 1;
          return depth === 0 ? [] : Array.from({ length: 5 }, () => nest(depth - 1));
        },
      });
    const { failure } = await runOnce(registryOf(() => fail(nest(8))));
    expect(failure?.detail).to.equal('AggregateError');
    expect(reads).to.be.below(100);
  });
});

describe('a check that has passed while other checks of its run continue', () => {
  const never = () => new Promise(() => {});
  const startedRegistry = () => {
    const registry = new ProbeRegistry({ logger: false });
    registry.register({ name: 'schema', kinds: ['startup'], timeoutMs: 5_000, check: never });
    return registry;
  };

  it('keeps its pass when the deadline is exceeded for the others', async () => {
    const registry = startedRegistry();
    registry.register({ name: 'db', kinds: ['readiness'], timeoutMs: 100, check: () => {} });
    for (let runs = 0; runs < 3; runs += 1) {
      const { results } = await registry.run('readiness');
      expect(results.map(({ name, status }) => `${name} ${status}`)).to.deep.equal(['lifecycle fail', 'db pass']);
    }
    registry.close();
  });

  it('does not pass its time on to its next run', async () => {
    const registry = startedRegistry();
    let delayMs = 0;
    registry.register({
      name: 'db',
      kinds: ['readiness'],
      timeoutMs: 1_000,
      check: () => (delayMs === 0 ? undefined : new Promise((resolve) => setTimeout(resolve, delayMs))),
    });
    await registry.run('readiness');
    await registry.run('readiness');
    delayMs = 100;
    const [result] = (await registry.run('readiness', { only: 'db' })).results;
    expect(result?.status).to.equal('pass');
    expect(result?.durationMs).to.be.at.least(99);
    registry.close();
  });

  it('sets no timer while a slower check is running', async () => {
    const clock = FakeTimers.install({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate', 'performance', 'Date'] });
    try {
      const registry = new ProbeRegistry({ logger: false });
      registry.register({ name: 'fast', kinds: ['readiness'], timeoutMs: 50, check: () => {} });
      registry.register({
        name: 'slow',
        kinds: ['readiness'],
        timeoutMs: 800,
        check: () => new Promise((resolve) => setTimeout(resolve, 600)),
      });
      for (let runs = 0; runs < 2; runs += 1) {
        const running = registry.run('readiness');
        let fired = 0;
        while (clock.countTimers() > 0) {
          await clock.nextAsync();
          fired += 1;
        }
        expect((await running).status).to.equal('pass');
        expect(fired).to.be.below(5);
      }
    } finally {
      clock.uninstall();
    }
  });
});

describe('the time of a result', () => {
  it('is the time of its run, no matter when it is read', async () => {
    const clock = FakeTimers.install({ toFake: ['Date'] });
    try {
      const registry = registryOf(() => {});
      await registry.run('readiness');
      const now = Date.parse('2030-01-01');
      clock.setSystemTime(now);
      const report = await registry.run('readiness');
      clock.setSystemTime(now + 3_600_000);
      for (const { time } of [...report.results, ...registry.status('readiness').results]) expect(time).to.equal(now);
    } finally {
      clock.uninstall();
    }
  });

  it('follows the system clock after it was set', async () => {
    const clock = FakeTimers.install({ toFake: ['Date'] });
    try {
      const registry = registryOf(() => {});
      for (const day of ['2030-01-01', '2020-01-01', '2040-01-01']) {
        const now = Date.parse(day);
        clock.setSystemTime(now);
        expect((await runOnce(registry)).time).to.be.closeTo(now, 60_000);
      }
    } finally {
      clock.uninstall();
    }
  });

  it('is the time of the outcome for a failure and for data too', async () => {
    const clock = FakeTimers.install({ toFake: ['Date'] });
    try {
      clock.setSystemTime(Date.parse('2030-01-01'));
      expect((await runOnce(registryOf(() => false))).time).to.equal(Date.now());
      expect((await runOnce(registryOf(() => ({ count: 1 })))).time).to.equal(Date.now());
    } finally {
      clock.uninstall();
    }
  });
});

describe('a report', () => {
  it('is complete as JSON and on the console, although its results are created when they are read', async () => {
    const registry = registryOf(() => {});
    await registry.run('readiness');
    const report = await registry.run('readiness');
    const { inspect } = await import('node:util');
    expect(inspect(report)).to.include("name: 'odd'").and.to.include("status: 'pass'");
    const copy = JSON.parse(JSON.stringify(report)) as typeof report;
    expect(copy.results.map(({ name, status }) => `${name} ${status}`)).to.deep.equal(['lifecycle pass', 'odd pass']);
    expect(report.results).to.equal(report.results);
  });

  it('keeps its results when probes and runs change', async () => {
    const registry = registryOf(() => {});
    await registry.run('readiness');
    const report = await registry.run('readiness');
    registry.register({ name: 'another', kinds: ['readiness'], check: () => false });
    await registry.run('readiness');
    expect(report.results.map(({ name, status }) => `${name} ${status}`)).to.deep.equal(['lifecycle pass', 'odd pass']);
  });
});

describe('invisible text', () => {
  const invisible = ['\u202e', '\u2066', '\u200b', '\u200f', '\u2028', '\u2029', '\u0085', '\u009b', '\ufeff', '\u061c'];

  for (const character of invisible) {
    const code = `U+${character.charCodeAt(0).toString(16).padStart(4, '0').toUpperCase()}`;
    it(`does not reach a reason or a log line: ${code}`, async () => {
      const logger = new MemoryLogger();
      const { failure } = await runOnce(registryOf(() => fail(new NotReady(`no${character}ok`)), {}, logger));
      expect(failure?.reason).to.match(/^no ?ok$/);
      expect(logger.lines.join())
        .to.match(/no ?ok/)
        .and.not.to.include(character);
    });

    it(`is escaped in a message that repeats it: ${code}`, () => {
      const registry = new ProbeRegistry({ logger: false });
      const message = problemOf(() => registry.register({ name: `a${character}b`, kinds: ['readiness'], check: () => {} }));
      expect(message)
        .to.include(`"a\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}b"`)
        .and.not.to.include(character);
    });
  }

  it('does not count as a message', () => {
    expect(new NotReady('\u200b\u202e').message).to.equal('not ready');
  });

  it('does not include letters of any script, nor emoji', async () => {
    const { failure } = await runOnce(registryOf(() => fail(new NotReady('Größe العربية 日本 🙂'))));
    expect(failure?.reason).to.equal('Größe العربية 日本 🙂');
  });
});

describe('a check that hangs while its registry is closed', () => {
  it('has settled for every waiting request', async () => {
    const registry = registryOf(() => new Promise(() => {}));
    let answered = 0;
    for (let requests = 0; requests < 5; requests += 1) void registry.run('readiness').then(() => (answered += 1));
    registry.close();
    await until(() => answered === 5);
  });
});

function fail(error: unknown): never {
  throw error;
}

function problemOf(act: () => unknown): string {
  try {
    act();
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}
