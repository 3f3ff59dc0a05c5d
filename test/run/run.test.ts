import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { runInNewContext } from 'node:vm';
import { expect } from 'chai';
import { NotReady, ProbeRegistry, ProbeTimeoutError, type ProbeContext, type ProbeDefinition, type ProbeReport } from 'koa-probes';
import { until } from '../support/processes.js';
import { ControlledCheck, MemoryLogger } from '../support/probes.js';

const bystander: ProbeDefinition = { name: 'bystander', kinds: ['readiness'], check: () => ({ up: true }) };

function registryOf(...probes: (Partial<ProbeDefinition> & Pick<ProbeDefinition, 'check'>)[]): ProbeRegistry {
  const registry = new ProbeRegistry({ logger: false });
  for (const probe of probes) registry.register({ name: 'odd', kinds: ['readiness'], ...probe });
  return registry;
}

function resultOf(report: ProbeReport, name: string) {
  const result = report.results.find((one) => one.name === name);
  if (result === undefined) throw new Error(`The report has no ${name}.`);
  return result;
}

const statusesOf = (report: ProbeReport) => report.results.map(({ name, status }) => `${name} ${status}`);

describe('run(kind)', () => {
  describe('in several runs', () => {
    it('keeps the content of each report, even if it is read after later runs', async () => {
      let isDown = false;
      const registry = registryOf({
        check: async () => {
          if (isDown) throw new NotReady('down');
        },
      });
      registry.register({ name: 'other', kinds: ['readiness'], check: async () => {} });
      const reports: ProbeReport[] = [];
      for (isDown of [false, false, true, false, true, false, false]) reports.push(await registry.run('readiness'));
      expect(reports.map(statusesOf)).to.deep.equal(
        [false, false, true, false, true, false, false].map((wasDown) => [
          'lifecycle pass',
          `odd ${wasDown ? 'fail' : 'pass'}`,
          'other pass',
        ]),
      );
      const times = reports.map((report) => resultOf(report, 'other').time ?? 0);
      expect(times).to.deep.equal(times.toSorted((a, b) => a - b));
      for (const { results } of reports) for (const { durationMs } of results) expect(durationMs).to.be.at.least(0);
    });

    it('excludes probes from this run only', async () => {
      const registry = registryOf({ check: async () => {} });
      await registry.run('readiness');
      await registry.run('readiness');
      expect(statusesOf(await registry.run('readiness', { exclude: ['odd'] }))).to.deep.equal(['lifecycle pass', 'odd excluded']);
      expect(statusesOf(await registry.run('readiness'))).to.deep.equal(['lifecycle pass', 'odd pass']);
    });

    it('answers a run that begins before another one of the same kind has ended', async () => {
      const registry = registryOf({ check: async () => {} });
      await registry.run('readiness');
      const reports = await Promise.all([registry.run('readiness'), registry.run('readiness'), registry.run('liveness')]);
      expect(reports.map(statusesOf)).to.deep.equal([['lifecycle pass', 'odd pass'], ['lifecycle pass', 'odd pass'], ['lifecycle pass']]);
    });

    it('reports only the hanging check as unknown at the deadline', async () => {
      const registry = new ProbeRegistry({ logger: false, deadlineMs: 60 });
      let isHanging = false;
      registry.register({ name: 'quick', kinds: ['readiness'], timeoutMs: 50, check: async () => {} });
      registry.register({
        name: 'odd',
        kinds: ['readiness'],
        timeoutMs: 50,
        check: () => (isHanging ? new Promise(() => {}) : Promise.resolve()),
      });
      for (let runs = 0; runs < 3; runs += 1) await registry.run('readiness');
      isHanging = true;
      expect(statusesOf(await registry.run('readiness'))).to.deep.equal(['lifecycle pass', 'quick pass', 'odd fail']);
      registry.close();
    });
  });

  const unhandled: unknown[] = [];
  const keep = (reason: unknown) => unhandled.push(reason);
  before(() => process.on('unhandledRejection', keep));
  after(() => process.off('unhandledRejection', keep));
  afterEach(() => expect(unhandled).to.deep.equal([]));

  describe('when a check does something unusual', () => {
    const thenable = (then: unknown) => Object.defineProperty({}, 'then', { get: () => then });
    const unprintable = {
      toString() {
        throw new Error('no text');
      },
    };
    const cases: Record<string, { check: ProbeDefinition['check']; status: 'pass' | 'fail'; error?: RegExp }> = {
      'throws an Error': { check: () => fail(new Error('broken')), status: 'fail', error: /broken/ },
      'throws a string': { check: () => fail('broken'), status: 'fail', error: /broken/ },
      'throws undefined': { check: () => fail(undefined), status: 'fail', error: /undefined/ },
      'throws null': { check: () => fail(null), status: 'fail', error: /null/ },
      'throws a value that cannot be converted to text': { check: () => fail(unprintable), status: 'fail' },
      'rejects with an Error': { check: () => Promise.reject(new Error('broken')), status: 'fail', error: /broken/ },
      'rejects with nothing': { check: async () => fail(undefined), status: 'fail' },
      'returns false': { check: () => false, status: 'fail', error: /returned false/ },
      'resolves to false': { check: async () => false, status: 'fail', error: /returned false/ },
      'returns an Error': { check: () => new Error('forgotten throw'), status: 'fail', error: /forgotten throw/ },
      'resolves to an Error': { check: async () => new Error('forgotten throw'), status: 'fail', error: /forgotten throw/ },
      'returns nothing': { check: () => {}, status: 'pass' },
      'returns null': { check: () => null, status: 'pass' },
      'returns a string': { check: () => 'fine', status: 'pass' },
      'returns 0': { check: () => 0, status: 'pass' },
      'returns an array': { check: () => [1, 2], status: 'pass' },
      'returns a function': { check: () => () => false, status: 'pass' },
      'returns a thenable that passes': { check: () => thenable((resolve: (value: unknown) => void) => resolve(1)), status: 'pass' },
      'returns a thenable that throws': {
        check: () => thenable(() => fail(new Error('broken then'))),
        status: 'fail',
        error: /broken then/,
      },
      'returns a thenable that settles twice': {
        check: () =>
          thenable((resolve: (value: unknown) => void, reject: (error: unknown) => void) => (resolve(1), reject(new Error('late')))),
        status: 'pass',
      },
      'returns an object whose `then` throws': {
        check: () => Object.defineProperty({}, 'then', { get: () => fail(new Error('no then')) }),
        status: 'fail',
        error: /no then/,
      },
      'returns a function with a `then` that rejects': {
        check: () => Object.assign(() => {}, { then: (_: unknown, reject: (error: unknown) => void) => reject(new Error('callable')) }),
        status: 'fail',
        error: /callable/,
      },
      'returns an Error of another realm': { check: () => runInNewContext('new Error("elsewhere")'), status: 'fail', error: /elsewhere$/ },
      'throws an Error of another realm': {
        check: () => fail(runInNewContext('new Error("elsewhere")')),
        status: 'fail',
        error: /elsewhere$/,
      },
      'throws what cannot be looked at': {
        check: () => {
          const { proxy, revoke } = Proxy.revocable({}, {});
          revoke();
          fail(proxy);
        },
        status: 'fail',
        error: /cannot be described/,
      },
      'throws an error whose message is none': { check: () => fail(Object.assign(new NotReady('x'), { message: 5 })), status: 'fail' },
      'throws an error that holds itself many times': {
        check: () => {
          const error = new AggregateError([]);
          for (let times = 0; times < 30; times += 1) error.errors.push(error);
          fail(error);
        },
        status: 'fail',
      },
      'throws an error with a message of megabytes': { check: () => fail(new Error('x '.repeat(5_000_000))), status: 'fail' },
      'returns data that cannot be read': {
        check: () => Object.defineProperty({}, 'x', { enumerable: true, get: () => fail(new Error('no x')) }),
        status: 'fail',
        error: /no x/,
      },
    };
    for (const [name, { check, status, error }] of Object.entries(cases)) {
      it(`has one result for a check that ${name}, and does not affect the others`, async () => {
        const lines = new MemoryLogger();
        const registry = new ProbeRegistry({ logger: lines });
        registry.register({ name: 'odd', kinds: ['readiness'], check });
        registry.register(bystander);
        const report = await registry.run('readiness');
        expect(statusesOf(report)).to.deep.equal(['lifecycle pass', `odd ${status}`, 'bystander pass']);
        expect(report.status).to.equal(status);
        if (error) expect(lines.lines.join()).to.match(error);
        expect(lines.lines.join().length).to.be.below(1_200);
      });
    }

    it('answers at the timeout if a check never settles, and aborts the signal', async () => {
      let signal: AbortSignal | undefined;
      const registry = registryOf({ timeoutMs: 30, check: (context) => new Promise(() => (signal = context.signal)) }, bystander);
      const report = await registry.run('readiness');
      expect(statusesOf(report)).to.deep.equal(['lifecycle pass', 'odd fail', 'bystander pass']);
      expect(resultOf(report, 'odd').error).to.satisfy(ProbeTimeoutError.is);
      expect(signal?.aborted).to.equal(true);
      expect(signal?.reason).to.satisfy(ProbeTimeoutError.is);
    });

    it('ends each check at its own timeout', async () => {
      const registry = registryOf(
        { name: 'patient', timeoutMs: 900, check: () => new Promise(() => {}) },
        { name: 'hasty', timeoutMs: 30, check: () => new Promise(() => {}) },
      );
      const ended: string[] = [];
      registry.on('change', ({ name }) => ended.push(name));
      const { results } = await registry.run('readiness');
      expect(ended).to.deep.equal(['hasty', 'patient', 'lifecycle']);
      const [, patient, hasty] = results.map(({ durationMs }) => durationMs);
      expect(patient).to.be.at.least(899);
      expect(hasty).to.be.at.least(29);
    });

    it('logs what a check was waiting for as the cause, if the check uses its signal, and does not abandon it', async () => {
      const logger = new MemoryLogger();
      const registry = new ProbeRegistry({ logger });
      let runs = 0;
      const check = ({ signal }: ProbeContext) => {
        runs += 1;
        return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('10 of 10 connections in use'))));
      };
      registry.register({ name: 'heedful', kinds: ['readiness'], timeoutMs: 20, check });
      const { results } = await registry.run('readiness');
      expect(results[1]?.failure?.reason).to.equal('timed out after 20 ms');
      expect(logger.lines[0]).to.include('heedful failed: timed out after 20 ms: 10 of 10 connections in use');
      expect(Object.getOwnPropertyDescriptor(results[1]?.error, 'cause')).to.include({
        enumerable: false,
        writable: true,
        configurable: true,
      });
      await registry.run('readiness');
      expect(runs).to.equal(2);
    });

    it('fails a check that passes after its timeout', async () => {
      const check = ({ signal }: ProbeContext) => new Promise((resolve) => signal.addEventListener('abort', resolve));
      const registry = registryOf({ timeoutMs: 20, check });
      expect((await registry.run('readiness')).status).to.equal('fail');
    });

    it('returns an aborted signal if the signal is first read after the timeout', async () => {
      let context: ProbeContext | undefined;
      const registry = registryOf({ timeoutMs: 20, check: (given) => new Promise(() => (context = given)) });
      await registry.run('readiness');
      expect(context?.signal.aborted).to.equal(true);
      expect(context?.signal).to.equal(context?.signal);
    });

    it('ignores a rejection after the timeout', async () => {
      const slow = new ControlledCheck();
      const registry = registryOf({ timeoutMs: 20, check: slow.check });
      const report = await registry.run('readiness');
      slow.reject(new Error('too late'));
      await new Promise(setImmediate);
      expect(resultOf(report, 'odd').error).to.satisfy(ProbeTimeoutError.is);
    });

    it('processes answers that arrived while a check blocked the event loop', async () => {
      const registry = registryOf(
        { name: 'io', timeoutMs: 60, check: () => stat('/') },
        { name: 'blocker', timeoutMs: 60, check: () => Promise.resolve().then(() => block(120)) },
      );
      expect(statusesOf(await registry.run('readiness'))).to.include('io pass');
    });

    it('reports a timeout with its cause, and tolerates it, even if the event loop was blocked beyond the deadline of the run', async () => {
      const heedful = ({ signal }: ProbeContext) =>
        new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('no connection'))));
      const registry = registryOf(
        { timeoutMs: 20, critical: false, check: heedful },
        { name: 'blocker', timeoutMs: 20, check: () => Promise.resolve().then(() => block(150)) },
      );
      const report = await registry.run('readiness');
      expect(statusesOf(report)).to.deep.equal(['lifecycle pass', 'odd warn', 'blocker pass']);
      expect(resultOf(report, 'odd').failure?.detail).to.equal('timed out after 20 ms: no connection');
    });

    it('supports a check that runs its own kind', async () => {
      const registry: ProbeRegistry = registryOf({ timeoutMs: 40, check: () => registry.run('readiness') }, bystander);
      expect(statusesOf(await registry.run('readiness'))).to.deep.equal(['lifecycle pass', 'odd fail', 'bystander pass']);
    });

    it('supports a check that closes the registry', async () => {
      const registry: ProbeRegistry = registryOf({ check: () => new Promise(() => {}) }, { name: 'closer', check: () => registry.close() });
      expect((await registry.run('readiness')).status).to.equal('fail');
    });

    it('ends a check at once if it closes the registry and never settles', async () => {
      const registry: ProbeRegistry = registryOf({ check: () => (registry.close(), new Promise(() => {})) });
      expect(resultOf(await registry.run('readiness'), 'odd').failure?.reason).to.equal('the registry is closed');
    });
  });

  describe('when a check returns data', () => {
    it('keeps the strings, numbers and booleans of a plain object', async () => {
      const registry = registryOf({
        check: () => ({ text: 'a', count: 1, isOn: false, list: [1], none: null, not: NaN, made: new Date() }),
      });
      expect(resultOf(await registry.run('readiness'), 'odd').data).to.deep.equal({ text: 'a', count: 1, isOn: false });
    });

    it('ignores an object of a class', async () => {
      const registry = registryOf({ check: () => new Map([['a', 1]]) });
      expect(resultOf(await registry.run('readiness'), 'odd').data).to.equal(undefined);
    });
  });

  it('does not shorten the time of a check that begins after one that blocks the event loop', async () => {
    const registry = registryOf({ name: 'blocker', check: () => block(100) }, { name: 'quick', timeoutMs: 50, check: () => stat('/') });
    expect(statusesOf(await registry.run('readiness'))).to.include('quick pass');
  });

  it('answers by the deadline if a startup probe takes longer, and still ends that probe at its own timeout', async () => {
    const registry = new ProbeRegistry({ logger: false });
    let signal: AbortSignal | undefined;
    registry.register({
      name: 'schema',
      kinds: ['startup'],
      timeoutMs: 3_000,
      check: (context) => new Promise(() => (signal = context.signal)),
    });
    expect((await registry.run('readiness')).status).to.equal('fail');
    expect(signal?.aborted).to.equal(false);
    await until(() => signal?.aborted);
    // A turn later it is abandoned.
    await until(async () => String((await registry.run('startup')).results[0]?.error).includes('still running'));
  });

  for (const [end, call] of Object.entries({ 'has settled': 'settle()', 'was ended with the registry': 'probes.close()' })) {
    it(`does not keep the process alive once a check that outlived the answer ${end}`, async () => {
      // In a process of its own: others come and go with timers in this one. An hour is the time that this one would wait for.
      const source = `
        import { ProbeRegistry } from 'koa-probes';
        const probes = new ProbeRegistry({ logger: false });
        let settle;
        const check = () => new Promise((resolve) => (settle = resolve));
        probes.register({ name: 'schema', kinds: ['startup'], timeoutMs: 3_600_000, check });
        console.log((await probes.run('readiness')).status);
        ${call};`;
      const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', source], { timeout: 20_000 });
      expect(stdout).to.equal('fail\n');
    });
  }

  it('answers thousands of requests for the same check by the deadline', async () => {
    const registry = new ProbeRegistry({ logger: false });
    registry.register({ name: 'schema', kinds: ['startup'], timeoutMs: 60_000, check: () => new Promise(() => {}) });
    const usedBefore = process.cpuUsage();
    const leaving = Array.from({ length: 20_000 }, () => registry.run('readiness'));
    const reports = await Promise.all(leaving);
    expect(reports.every(({ status }) => status === 'fail')).to.equal(true);
    registry.close();
    // Not the time on the clock, which neighbours on the machine make longer.
    const { user, system } = process.cpuUsage(usedBefore);
    expect((user + system) / 1_000).to.be.below(3_000);
  });

  it('fails readiness runs in flight when the registry is closed, even if the probes are not critical', async () => {
    const registry = registryOf({ critical: false, check: () => new Promise(() => {}) });
    const underWay = registry.run('readiness');
    registry.close();
    expect((await underWay).status).to.equal('fail');
    expect((await registry.run('readiness', { only: 'odd' })).status).to.equal('fail');
  });

  it('passes each run its own kind and its own signal', async () => {
    const kinds: string[] = [];
    const signals: AbortSignal[] = [];
    const registry = registryOf({
      kinds: ['readiness', 'liveness'],
      check: (context: ProbeContext) => {
        kinds.push(context.kind);
        if (kinds.length > 2) signals.push(context.signal);
      },
    });
    for (const kind of ['liveness', 'readiness', 'liveness', 'readiness'] as const) await registry.run(kind, { only: 'odd' });
    expect(kinds).to.deep.equal(['liveness', 'readiness', 'liveness', 'readiness']);
    expect(new Set(signals)).to.have.lengthOf(2);
  });

  it('aborts the signal of a run that has timed out, and not that of the next run', async () => {
    const signals: AbortSignal[] = [];
    const registry = registryOf({
      timeoutMs: 20,
      check: (context: ProbeContext) => {
        signals.push(context.signal);
        if (signals.length === 2) return new Promise((_, reject) => context.signal.addEventListener('abort', reject));
        return undefined;
      },
    });
    for (let run = 0; run < 3; run += 1) await registry.run('readiness');
    expect(signals.map(({ aborted }) => aborted)).to.deep.equal([false, true, false]);
  });

  it('allows any number of listeners on the signal without a warning', async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on('warning', onWarning);
    const registry = registryOf({
      check: ({ signal }: ProbeContext) => {
        for (let count = 0; count < 20; count += 1) signal.addEventListener('abort', () => count);
      },
    });
    await registry.run('readiness');
    await new Promise(setImmediate);
    process.off('warning', onWarning);
    expect(warnings).to.deep.equal([]);
  });

  it('rejects options that are not an object', async () => {
    const problem = await registryOf({ check: () => {} })
      .run('readiness', null as never)
      .catch((error: unknown) => error);
    expect(problem).to.be.instanceOf(TypeError);
  });

  it('ignores a probe that is registered during a run, even if the deadline is exceeded first', async () => {
    const registry = new ProbeRegistry({ deadlineMs: 50, logger: false });
    let inner: Promise<ProbeReport> | undefined;
    const kinds = ['readiness'] as const;
    registry.register({ name: 'asker', kinds, timeoutMs: 50, check: () => (inner ??= registry.run('readiness')) });
    // The outer run begins it once more: the time of `asker` counts from there, later than the deadline of the inner run.
    registry.register({ name: 'blocker', kinds, timeoutMs: 50, check: () => block(80) });
    const outer = registry.run('readiness');
    registry.register({ ...bystander, timeoutMs: 50 });
    if (inner === undefined) throw new Error('The check did not run.');
    expect(statusesOf(await inner)).to.deep.equal(['lifecycle pass', 'asker fail', 'blocker pass']);
    expect(statusesOf(await outer)).to.have.length(3);
  });

  it('applies an explicit `deadlineMs`', async () => {
    const registry = new ProbeRegistry({ deadlineMs: 400, logger: false });
    registry.register({
      name: 'schema',
      kinds: ['startup'],
      timeoutMs: 400,
      check: () => new Promise((resolve) => setTimeout(resolve, 250)),
    });
    expect((await registry.run('readiness')).status).to.equal('pass');
  });

  it('passes without any probe', async () => {
    const registry = new ProbeRegistry({ logger: false });
    for (const kind of ['liveness', 'readiness', 'startup'] as const) expect((await registry.run(kind)).status).to.equal('pass');
  });

  it('starts all checks before the first has settled, and keeps their order', async () => {
    const slow = new ControlledCheck();
    const order: string[] = [];
    const registry = registryOf({ name: 'slow', check: slow.check }, { name: 'quick', check: () => void order.push('quick began') });
    const running = registry.run('readiness');
    expect(order).to.deep.equal(['quick began']);
    slow.resolve();
    expect(statusesOf(await running)).to.deep.equal(['lifecycle pass', 'slow pass', 'quick pass']);
  });

  it('passes the check the kind that started its run', async () => {
    const kinds: string[] = [];
    const registry = registryOf({ kinds: ['liveness', 'readiness'], check: ({ kind }) => void kinds.push(kind) });
    await registry.run('liveness');
    await registry.run('readiness');
    expect(kinds).to.deep.equal(['liveness', 'readiness']);
  });

  it('runs a check once for all requests of all kinds that arrive while it is in flight', async () => {
    const slow = new ControlledCheck();
    const registry = registryOf({ kinds: ['liveness', 'readiness'], check: slow.check });
    const reports = Promise.all(Array.from({ length: 1_000 }, (_, index) => registry.run(index % 2 === 0 ? 'liveness' : 'readiness')));
    slow.resolve({ answer: 42 });
    const results = (await reports).map((report) => resultOf(report, 'odd'));
    expect(slow.runs).to.equal(1);
    expect(new Set(results).size).to.equal(1);
    const again = registry.run('readiness');
    slow.resolve();
    await again;
    expect(slow.runs).to.equal(2);
  });

  describe('when a run was abandoned', () => {
    it('answers at once that it is still running, and starts no other before it settles', async () => {
      const slow = new ControlledCheck();
      const registry = registryOf({ timeoutMs: 2_000, check: slow.check });
      await registry.run('readiness');
      const { error } = resultOf(await registry.run('readiness'), 'odd');
      expect(error).to.satisfy(ProbeTimeoutError.is);
      expect(String(error)).to.include('still running');
      expect(slow.runs).to.equal(1);
      slow.resolve();
      await new Promise(setImmediate);
      const recovered = registry.run('readiness');
      slow.resolve();
      expect((await recovered).status).to.equal('pass');
      expect(slow.runs).to.equal(2);
    });

    it('starts another one when its back-off has passed, twice as long the second time', async () => {
      const slow = new ControlledCheck();
      const startedAt: number[] = [];
      const registry = registryOf({
        timeoutMs: 40,
        check: () => {
          startedAt.push(performance.now());
          return slow.check();
        },
      });
      await until(async () => {
        await registry.run('readiness');
        return slow.runs === 3;
      });
      const [first = 0, second = 0, third = 0] = startedAt;
      expect(second - first).to.be.at.least(79);
      expect(third - second).to.be.at.least(119);
    });
  });

  describe('with `exclude`', () => {
    it('runs all probes but the excluded ones, and reports unknown names', async () => {
      const left = new ControlledCheck();
      const registry = registryOf({ name: 'left', check: left.check }, bystander);
      const report = await registry.run('readiness', { exclude: ['left', 'nobody', 'lifecycle'] });
      expect(left.runs).to.equal(0);
      expect(statusesOf(report)).to.deep.equal(['lifecycle excluded', 'left excluded', 'bystander pass']);
      expect(report.status).to.equal('pass');
      expect(report.unknownExcludes).to.deep.equal(['nobody']);
    });
  });

  describe('with `only`', () => {
    it('runs only that probe', async () => {
      const other = new ControlledCheck();
      const registry = registryOf({ name: 'other', check: other.check }, bystander);
      expect(statusesOf(await registry.run('readiness', { only: 'bystander' }))).to.deep.equal(['bystander pass']);
      expect(statusesOf(await registry.run('readiness', { only: 'lifecycle' }))).to.deep.equal(['lifecycle pass']);
      expect(other.runs).to.equal(0);
    });

    it('rejects a name that the kind does not have', async () => {
      const problem = await registryOf(bystander).run('liveness', { only: 'bystander' }).catch(String);
      expect(problem).to.include('No liveness probe is named "bystander"');
    });
  });

  it('rejects a kind that does not exist, by name', async () => {
    const problem = await registryOf()
      .run('ready' as 'readiness')
      .catch(String);
    expect(problem).to.match(/`kind` of run\(\).*"liveness", "readiness", "startup", got "ready"/);
  });
});

describe('register(definition)', () => {
  const valid: ProbeDefinition = { name: 'queue', kinds: ['readiness'], check: () => {} };
  const cases: [string, object, RegExp][] = [
    ['has no name', { name: undefined }, /`name`.*1 to 100 letters.*got `undefined`/],
    ['has a name that breaks a line', { name: 'a\nb' }, /got "a\\nb"/],
    ['has a name that a client treats as a folder', { name: '..' }, /got "\.\."/],
    ['has the name of the lifecycle', { name: 'lifecycle' }, /"lifecycle" is reserved/],
    ['has no kinds', { kinds: [] }, /`kinds` of probe "queue"/],
    ['has its kind as a string', { kinds: 'readiness' }, /`kinds` of probe "queue" to be an array.*got "readiness"/],
    ['has an unknown kind', { kinds: ['ready'] }, /one of "liveness", "readiness", "startup", got "ready"/],
    ['has no check', { check: undefined }, /`check` of probe "queue" to be a function/],
    ['has a timeout of 0', { timeoutMs: 0 }, /`timeoutMs` of probe "queue".*1 to 3600000, got `0`/],
    ['has a negative timeout', { timeoutMs: -1 }, /got `-1`/],
    ['has a timeout that is not a number', { timeoutMs: NaN }, /got `NaN`/],
    ['has a timeout in words', { timeoutMs: '500' }, /got "500"/],
    ['has a timeout that no timer can hold', { timeoutMs: Infinity }, /got `Infinity`/],
    ['has an option that does not exist', { timeout: 500 }, /Unknown option `timeout` of probe "queue".*`timeoutMs`/],
    ['has a timeout beyond the deadline', { timeoutMs: 2_000 }, /2000, longer than `deadlineMs` of the registry \(1000\)/],
  ];
  for (const [name, part, message] of cases) {
    it(`rejects a probe that ${name}`, () => {
      const registry = new ProbeRegistry({ deadlineMs: 1_000, logger: false });
      expect(() => registry.register({ ...valid, ...part })).to.throw(message);
    });
  }

  it('rejects anything but an object', () => {
    expect(() => registryOf().register(undefined as never)).to.throw(/definition of a probe to be an object, got `undefined`/);
  });

  it('rejects a name that is already used', () => {
    const registry = registryOf(valid);
    expect(() => registry.register(valid)).to.throw(/Two probes are named "queue"/);
  });

  it('accepts a probe after the first request', async () => {
    const registry = registryOf(bystander);
    await registry.run('readiness');
    registry.register(valid);
    expect(statusesOf(await registry.run('readiness'))).to.deep.equal(['lifecycle pass', 'bystander pass', 'queue pass']);
  });

  it('treats an undefined option like a missing one', async () => {
    const registry = registryOf({ ...valid, timeoutMs: undefined });
    expect((await registry.run('readiness')).status).to.equal('pass');
  });
});

describe('new ProbeRegistry(options)', () => {
  it('rejects options out of range, by name', () => {
    expect(() => new ProbeRegistry({ deadlineMs: 0 })).to.throw(/`deadlineMs` of the registry/);
    expect(() => new ProbeRegistry({ deadline: 5 } as object)).to.throw(/Unknown option `deadline`.*`deadlineMs`/);
    expect(() => new ProbeRegistry(5 as never)).to.throw(/the options of the registry to be an object, got `5`/);
    expect(() => new ProbeRegistry({ logger: { log() {} } as never })).to.throw(/`logger` of the registry/);
  });
});

describe('close()', () => {
  it('fails readiness with and without probes, and notifies every listener even if one throws', async () => {
    const logger = new MemoryLogger();
    const registry = new ProbeRegistry({ logger });
    let isTold = false;
    registry.on('close', () => fail(new Error('listener')));
    registry.on('close', () => (isTold = true));
    registry.close();
    expect(isTold).to.equal(true);
    expect(logger.lines.join()).to.include('a listener for "close" failed: listener');
    expect((await registry.run('readiness')).results[0]?.failure?.reason).to.equal('the registry is closed');
  });

  it('ends running checks as failed, aborts their signals, and fails every later run', async () => {
    let signal: AbortSignal | undefined;
    const registry = registryOf({ check: (context) => new Promise(() => (signal = context.signal)) });
    const running = registry.run('readiness');
    let closes = 0;
    registry.on('close', () => (closes += 1));
    registry.close();
    registry.close();
    expect(String(resultOf(await running, 'odd').error)).to.include('the registry is closed');
    expect(signal?.aborted).to.equal(true);
    expect((await registry.run('readiness')).status).to.equal('fail');
    expect(closes).to.equal(1);
    expect(() => registry.register(bystander)).to.throw(/the registry is closed/);
  });
});

describe('on a change of status', () => {
  it('logs one line for each change and none for each run', async () => {
    const logger = new MemoryLogger();
    const registry = new ProbeRegistry({ logger });
    let isUp = true;
    registry.register({
      name: 'queue',
      kinds: ['liveness', 'readiness'],
      check: () => isUp || Promise.reject(new Error('queue\nis down')),
    });
    for (const up of [true, true, false, false, true, true]) {
      isUp = up;
      await registry.run('readiness');
    }
    expect(logger.lines.map((line) => line.replace(/\d+ ms/, 'N ms'))).to.deep.equal([
      'warn koa-probes: liveness and readiness probe queue failed: queue is down',
      'info koa-probes: liveness and readiness probe queue passes again after N ms, 2 runs failed',
    ]);
  });

  it('emits the change, including the first one', async () => {
    const registry = registryOf({ check: () => false });
    const seen: string[] = [];
    registry.on('change', ({ name, kinds, result, previous }) =>
      seen.push(`${name} ${kinds.join()} ${previous ?? 'none'} ${result.status}`),
    );
    await registry.run('readiness');
    expect(seen).to.deep.equal(['odd readiness none fail', 'lifecycle readiness none pass']);
  });

  it('notifies any number of listeners without a warning', async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on('warning', onWarning);
    const registry = registryOf({ check: () => {} });
    let told = 0;
    for (let count = 0; count < 20; count += 1) registry.on('change', () => (told += 1));
    await registry.run('readiness', { only: 'odd' });
    await new Promise((resolve) => setImmediate(resolve));
    process.off('warning', onWarning);
    expect([told, warnings]).to.deep.equal([20, []]);
  });

  it('is not affected by a listener or a logger that throws', async () => {
    const broken = () => fail(new Error('disk full'));
    const registry = new ProbeRegistry({
      logger: { info: broken, error: broken, warn: () => Promise.reject(new Error('connection lost')) as never },
    });
    registry.register({ name: 'odd', kinds: ['readiness'], check: () => false });
    registry.on('change', () => fail(new Error('listener')));
    // oxlint-disable-next-line typescript/no-misused-promises -- what users write
    registry.on('change', () => Promise.reject(new Error('async listener')));
    expect(statusesOf(await registry.run('readiness'))).to.deep.equal(['lifecycle pass', 'odd fail']);
  });

  it('logs the code of an error without a message, or its name if it has no code', async () => {
    const logger = new MemoryLogger();
    const registry = new ProbeRegistry({ logger });
    registry.register({ name: 'coded', kinds: ['readiness'], check: () => fail(Object.assign(new Error(''), { code: 'EPIPE' })) });
    registry.register({ name: 'named', kinds: ['readiness'], check: () => fail(new RangeError('')) });
    await registry.run('readiness');
    expect(logger.lines.join()).to.include('coded failed: EPIPE').and.to.include('named failed: RangeError');
  });

  it('writes to standard error if no logger is given', async () => {
    const source = `import { ProbeRegistry } from 'koa-probes'; new ProbeRegistry().lifecycle.setReady(false, 'maintenance');`;
    const { stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', source]);
    expect(stderr).to.include('koa-probes: readiness probe lifecycle failed: maintenance');
  });

  it('logs the causes and the parts of an error', async () => {
    const logger = new MemoryLogger();
    const registry = new ProbeRegistry({ logger });
    const refused = new AggregateError([new Error('refused ::1'), new Error('refused 127.0.0.1')]);
    registry.register({ name: 'db', kinds: ['readiness'], check: () => fail(new Error('no database', { cause: refused })) });
    await registry.run('readiness');
    expect(logger.lines.join()).to.include('no database: refused ::1: refused 127.0.0.1');
  });
});

describe('new NotReady(message, options)', () => {
  it('rejects a status that Kubernetes treats as a success', () => {
    for (const status of [200, 302, 399, 600, 450.5, NaN]) expect(() => new NotReady('no', { status })).to.throw(RangeError, /400 to 599/);
  });

  it('shows the public only its own message, and never a status that is a success', async () => {
    const cause = new Error('password hunter2 rejected');
    class Careless extends NotReady {
      override status = 204;
    }
    for (const error of [
      new NotReady('down', { cause }),
      Object.assign(new NotReady('down', { cause }), { status: 200 }),
      new Careless('down', { cause }),
    ]) {
      const { results } = await registryOf({ check: () => fail(error) }).run('readiness');
      expect(results[1]?.failure).to.deep.equal({ reason: 'down', detail: 'down: password hunter2 rejected', statusCode: 503 });
    }
    for (const blank of ['', ' \n ', undefined as never]) expect(new NotReady(blank).message).to.equal('not ready');
  });

  it('recognizes its errors among values that cannot be inspected', () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    expect(NotReady.is(proxy)).to.equal(false);
  });

  it('keeps its cause, and is recognized by its tag', () => {
    const cause = new Error('inner');
    const error = new NotReady('no', { status: 429, cause });
    expect(error.cause).to.equal(cause);
    expect(NotReady.is(error)).to.equal(true);
    expect(NotReady.is(new Error('no'))).to.equal(false);
    expect(NotReady.is(undefined)).to.equal(false);
  });
});

function fail(error: unknown): never {
  throw error;
}

function block(ms: number): void {
  const endsAt = performance.now() + ms;
  while (performance.now() < endsAt);
}
