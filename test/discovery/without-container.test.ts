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
  it('creates each class once with `new`', async () => {
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

  it('applies the other options, and logs the probes that were found', async () => {
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

  it('accepts constructor parameters with default values', async () => {
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

  it('fails if the constructor, its own or an inherited one, has parameters, and names the cures', async () => {
    @ReadinessProbe()
    class SearchProbe {
      constructor(readonly client: unknown) {}
      check() {}
    }
    @ReadinessProbe()
    class HeirProbe extends SearchProbe {}
    expect(await messageOf(SearchProbe)).to.match(
      /^SearchProbe cannot be created without a container: its constructor takes 1 argument\. Give each parameter a default value, call discoverProbes\(container\).*probes\.register/,
    );
    expect(await messageOf(HeirProbe)).to.match(/^HeirProbe cannot be created without a container/);
  });

  it('names the class whose constructor throws', async () => {
    @StartupProbe()
    class BrokenProbe {
      constructor() {
        throw new Error('no configuration');
      }
      check() {}
    }
    expect(await messageOf(BrokenProbe)).to.match(
      /^BrokenProbe could not be created: its constructor threw\. .*It said: no configuration$/,
    );
  });

  it('creates a registry for each call', async () => {
    const [first, second] = [await discover(PassingProbe), await discover(PassingProbe)];
    first.lifecycle.setReady(false);
    expect((await second.run('readiness')).status).to.equal('pass');
  });

  it('says that a bundled probe needs a container, and how to leave the probe out', async () => {
    const { HttpProbe } = await import('koa-probes/http');
    const problem = await discoverProbes(undefined, { classes: [HttpProbe], logger: false }).catch(String);
    expect(problem).to.match(/HttpProbe cannot be created without a container.*its module was imported.*`disabled`.*koa-probes\/checks/);
  });

  it('rejects a registry that is already in use or closed, and does not close it', async () => {
    const registry = new ProbeRegistry({ logger: false });
    await discoverProbes(undefined, { registry, classes: [] });
    expect(await discoverProbes(undefined, { registry, classes: [] }).catch(String)).to.include('was already called with this `registry`');
    expect(registry.isClosed).to.equal(false);
    registry.close();
    expect(await discoverProbes(undefined, { registry, classes: [] }).catch(String)).to.include('is closed');
  });

  it('does not warn if the registry already has other probes', async () => {
    const lines: string[] = [];
    const write = (line: string) => lines.push(line);
    const registry = new ProbeRegistry({ logger: { info: write, warn: write, error: write } });
    registry.register({ name: 'own', kinds: ['readiness'], check: () => {} });
    await discoverProbes(undefined, { registry, classes: [] });
    expect(lines.join()).not.to.include('no probes were found');
  });
});
