import { expect } from 'chai';
import {
  ConfigurationError,
  discoverProbes,
  LivenessProbe,
  NotReady,
  ReadinessProbe,
  type ProbeClass,
  type ProbeContext,
} from 'koa-probes';
import { resetProbes, runProbe } from 'koa-probes/testing';
import { MemoryLogger, PassingProbe, ThrowingProbe, TwoKindsProbe } from '../support/probes.js';

async function messageOf(promise: Promise<unknown>): Promise<string> {
  const problem: unknown = await promise.catch((error: unknown) => error);
  expect(problem).to.satisfy(ConfigurationError.is);
  return (problem as Error).message;
}

describe('runProbe(probe, options)', () => {
  it('resolves to the result of a class', async () => {
    expect(await runProbe(PassingProbe)).to.include({ name: 'passing', status: 'pass', error: undefined });
  });

  it('resolves to the result of an instance', async () => {
    @ReadinessProbe({ name: 'shards' })
    class SearchProbe {
      constructor(readonly client: { shards: number }) {}
      check() {
        return { shards: this.client.shards };
      }
    }
    expect(await runProbe(new SearchProbe({ shards: 5 }))).to.deep.include({ name: 'shards', status: 'pass', data: { shards: 5 } });
  });

  it('accepts a class without a decorator, and a plain object', async () => {
    class PlainProbe {
      check() {}
    }
    expect(await runProbe(PlainProbe)).to.include({ name: 'plain', status: 'pass' });
    expect(await runProbe({ check: () => false })).to.include({ name: 'probe', status: 'fail' });
  });

  it('does not reject if a check throws', async () => {
    const { status, error, failure } = await runProbe(ThrowingProbe);
    expect(status).to.equal('fail');
    expect(String(error)).to.include('hunter2');
    expect(failure?.detail).to.include('hunter2');
    const notReady = await runProbe({ check: () => Promise.reject(new NotReady('no shards')) });
    expect(notReady.error).to.satisfy(NotReady.is);
  });

  it('fails if the check exceeds its timeout, and aborts the signal', async () => {
    let aborted: unknown;
    const check = ({ signal }: ProbeContext) => {
      signal.addEventListener('abort', () => (aborted = signal.reason));
      return new Promise(() => {});
    };
    const { status, error } = await runProbe({ check }, { timeoutMs: 10 });
    expect(status).to.equal('fail');
    expect(String(error)).to.include('timed out after 10 ms');
    expect(aborted).to.be.instanceOf(Error);
  });

  it('applies `timeoutMs` and `critical` of the decorator, and runs nothing in the background', async () => {
    let runs = 0;
    @ReadinessProbe({ timeoutMs: 10, critical: false, intervalMs: 1, cacheMs: 1_000 })
    class SlowProbe {
      check() {
        runs += 1;
        return new Promise(() => {});
      }
    }
    const { status, error } = await runProbe(SlowProbe);
    expect(status).to.equal('warn');
    expect(String(error)).to.include('timed out after 10 ms');
    expect(runs).to.equal(1);
  });

  it('tells the check its kind', async () => {
    const kinds: string[] = [];
    @LivenessProbe()
    @ReadinessProbe()
    class KindProbe {
      check({ kind }: ProbeContext) {
        kinds.push(kind);
      }
    }
    await runProbe(KindProbe);
    await runProbe(KindProbe, { kind: 'readiness' });
    await runProbe({ check: ({ kind }: ProbeContext) => void kinds.push(kind) }, { kind: 'startup' });
    expect(kinds).to.deep.equal(['liveness', 'readiness', 'startup']);
  });

  it('runs the same probe several times at once', async () => {
    const results = await Promise.all([runProbe(PassingProbe), runProbe(PassingProbe), runProbe(ThrowingProbe)]);
    expect(results.map(({ status }) => status)).to.deep.equal(['pass', 'pass', 'fail']);
  });

  it('says what is wrong with its arguments', async () => {
    class NeedyProbe {
      constructor(readonly client: unknown) {}
      check() {}
    }
    expect(await messageOf(runProbe(NeedyProbe))).to.match(
      /^NeedyProbe cannot be created without a container: its constructor takes 1 argument/,
    );
    expect(await messageOf(runProbe(TwoKindsProbe, { kind: 'startup' }))).to.match(
      /^TwoKindsProbe is not a startup probe\. .*`liveness`, `readiness`/,
    );
    expect(await messageOf(runProbe(PassingProbe, { kind: 'ready' as never }))).to.match(/Expected `kind` of runProbe\(\)/);
    expect(await messageOf(runProbe(PassingProbe, { timeoutMs: 0 }))).to.match(/Expected `timeoutMs` of probe "passing"/);
    expect(await messageOf(runProbe(PassingProbe, { timeout: 5 } as object))).to.match(/Unknown option `timeout` of runProbe\(\)/);
    for (const value of [undefined, null, {}, 'search', Map]) {
      expect(await messageOf(runProbe(value as never))).to.match(
        /^Expected the argument of runProbe\(\) to be a probe with a `check` method, or the class of a probe, got/,
      );
    }
  });
});

describe('resetProbes()', () => {
  it('lets discoverProbes() find only classes that are decorated afterwards or listed in `classes`', async () => {
    const namesOf = async (classes?: readonly ProbeClass[]) => {
      const logger = new MemoryLogger();
      (await discoverProbes(undefined, { classes, logger })).close();
      return logger.lines.join('\n');
    };
    resetProbes();
    expect(await namesOf()).to.match(/^warn .*no probes were found/);
    @ReadinessProbe()
    class LateProbe {
      check() {}
    }
    expect(await namesOf()).to.equal('info koa-probes: 1 probe: late (readiness)');
    expect(await namesOf([PassingProbe, LateProbe])).to.include('2 probes: passing, late (readiness)');
    expect(await runProbe(PassingProbe)).to.include({ status: 'pass' });
  });
});
