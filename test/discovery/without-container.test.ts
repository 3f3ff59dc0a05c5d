import { expect } from 'chai';
import { ConfigurationError, discoverProbes, ProbeRegistry, ReadinessProbe, StartupProbe, type ProbeClass } from 'koa-probes';
import { MemoryLogger, PassingProbe, TwoKindsProbe } from '../support/probes.js';

const discover = (...classes: readonly ProbeClass[]) => discoverProbes(undefined, { classes, logger: false });

async function messageOf(probeClass: ProbeClass): Promise<string> {
  const problem: unknown = await discover(probeClass).catch((error: unknown) => error);
  expect(problem).to.satisfy(ConfigurationError.is);
  return (problem as Error).message;
}

describe('discoverProbes() without a container', () => {
  it('makes each class with new, once', async () => {
    let made = 0;
    @ReadinessProbe()
    class CountedProbe {
      constructor() {
        made += 1;
      }
      check() {}
    }
    const probes = await discover(CountedProbe, TwoKindsProbe);
    const { results } = await probes.run('readiness');
    expect(results.map(({ name, status }) => [name, status])).to.deep.equal([
      ['lifecycle', 'pass'],
      ['counted', 'pass'],
      ['two-kinds', 'pass'],
    ]);
    expect(made).to.equal(1);
  });

  it('takes the other options, and says what was found', async () => {
    const logger = new MemoryLogger();
    const classes = [PassingProbe, TwoKindsProbe];
    const probes = await discoverProbes(undefined, {
      classes,
      disabled: ['two-kinds'],
      settings: { passing: { critical: false } },
      logger,
    });
    expect(probes.has('readiness', 'two-kinds')).to.equal(false);
    expect(logger.lines).to.deep.equal(['info koa-probes: 1 probe: passing (readiness)']);
  });

  it('takes parameters with default values', async () => {
    @ReadinessProbe()
    class DefaultProbe {
      constructor(
        readonly limit = 5,
        ...rest: readonly number[]
      ) {
        if (rest.length > 0) throw new Error('given');
      }
      check() {
        return { limit: this.limit };
      }
    }
    expect((await (await discover(DefaultProbe)).run('readiness')).results.at(-1)?.data).to.deep.equal({ limit: 5 });
  });

  it('fails for a constructor with parameters, an inherited one too, with the cures', async () => {
    @ReadinessProbe()
    class SearchProbe {
      constructor(readonly client: unknown) {}
      check() {}
    }
    @ReadinessProbe()
    class HeirProbe extends SearchProbe {}
    expect(await messageOf(SearchProbe)).to.match(
      /^SearchProbe cannot be made without a container: its constructor takes 1 argument\. Give each parameter a default value, call discoverProbes\(container\).*probes\.register/,
    );
    expect(await messageOf(HeirProbe)).to.match(/^HeirProbe cannot be made without a container/);
  });

  it('names the class whose constructor throws', async () => {
    @StartupProbe()
    class BrokenProbe {
      constructor() {
        throw new Error('no configuration');
      }
      check() {}
    }
    expect(await messageOf(BrokenProbe)).to.match(/^BrokenProbe cannot be made: its constructor threw\. .*It said: no configuration$/);
  });

  it('makes a registry for each call', async () => {
    const [first, second] = [await discover(PassingProbe), await discover(PassingProbe)];
    first.lifecycle.setReady(false);
    expect((await second.run('readiness')).status).to.equal('pass');
  });

  it('says of a bundled probe that it needs a container, and how to leave it out', async () => {
    const { HttpProbe } = await import('koa-probes/http');
    const problem = await discoverProbes(undefined, { classes: [HttpProbe], logger: false }).catch(String);
    expect(problem).to.match(/HttpProbe cannot be made without a container.*its module was imported.*`disabled`.*koa-probes\/checks/);
  });

  it('refuses a registry that was given before, or is closed, and leaves it in use', async () => {
    const registry = new ProbeRegistry({ logger: false });
    await discoverProbes(undefined, { registry, classes: [] });
    expect(await discoverProbes(undefined, { registry, classes: [] }).catch(String)).to.include('was called already with this `registry`');
    expect(registry.isClosed).to.equal(false);
    registry.close();
    expect(await discoverProbes(undefined, { registry, classes: [] }).catch(String)).to.include('is closed');
  });

  it('does not call a registry empty that has probes of its own', async () => {
    const lines: string[] = [];
    const write = (line: string) => lines.push(line);
    const registry = new ProbeRegistry({ logger: { info: write, warn: write, error: write } });
    registry.register({ name: 'own', kinds: ['readiness'], check: () => {} });
    await discoverProbes(undefined, { registry, classes: [] });
    expect(lines.join()).not.to.include('no probe was found');
  });
});
