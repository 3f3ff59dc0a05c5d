import { expect } from 'chai';
import { Container } from 'inversify';
import { discoverProbes, LivenessProbe, ReadinessProbe, StartupProbe, type DiscoveryOptions, type ProbeClass } from 'koa-probes';
import { MemoryLogger, PassingProbe, TwoKindsProbe } from '../support/probes.js';

async function linesOf(classes: readonly ProbeClass[], options: DiscoveryOptions = {}): Promise<string[]> {
  const logger = new MemoryLogger();
  const probes = await discoverProbes(new Container(), { classes, logger, ...options });
  probes.close();
  return logger.lines;
}

/** A class of that name, decorated without a name of its own. */
function named(name: string): ProbeClass {
  const { [name]: probeClass } = {
    [name]: class {
      check() {}
    },
  };
  ReadinessProbe()(probeClass!);
  return probeClass!;
}

describe('discoverProbes() when it has finished', () => {
  it('logs in one line the probes that were found, by kind', async () => {
    @ReadinessProbe()
    class DatabaseProbe {
      check() {}
    }
    @LivenessProbe()
    class EventLoopProbe {
      check() {}
    }
    @ReadinessProbe({ name: 'backlog' })
    class JobsProbe {
      check() {}
    }
    @StartupProbe()
    class WarmUpProbe {
      check() {}
    }
    expect(await linesOf([DatabaseProbe, EventLoopProbe, JobsProbe, WarmUpProbe])).to.deep.equal([
      'info koa-probes: 4 probes: database, backlog (readiness), event-loop (liveness), warm-up (startup)',
    ]);
    expect(await linesOf([TwoKindsProbe])).to.deep.equal(['info koa-probes: 1 probe: two-kinds (liveness and readiness)']);
  });

  it('names only the probes that are enabled', async () => {
    expect(await linesOf([PassingProbe, TwoKindsProbe], { disabled: ['two-kinds'] })).to.deep.equal([
      'info koa-probes: 1 probe: passing (readiness)',
    ]);
    expect(await linesOf([PassingProbe], { disabled: ['passing'] })).to.deep.equal(['info koa-probes: 0 probes']);
  });

  it('does not warn about `classes: []`', async () => {
    expect(await linesOf([])).to.deep.equal(['info koa-probes: 0 probes']);
  });

  it('logs nothing if the logger is false', async () => {
    expect(await linesOf([PassingProbe], { logger: false })).to.deep.equal([]);
  });
});

describe('discoverProbes() when the name of a class looks generated', () => {
  const minified = ['r', 'fa', '$', 't1', 'e$1', 'aB3'];
  const renamed = 'QueueProbe2 QueueProbe$1 QueueProbe_1 QueueCheck3 _QueueProbe queue_QueueProbe _class2 class_1 default_1'.split(' ');
  const generated = [...minified, ...renamed];
  for (const name of generated.filter((one) => !one.includes('$'))) {
    it(`warns about ${name}, with the cure`, async () => {
      const [warning] = await linesOf([named(name)]);
      expect(warning).to.match(/^warn .*look as if a minifier or a bundler had generated them/);
      expect(warning).to.include(`\`${name}\``).and.to.include("@ReadinessProbe({ name: 'search' })").and.to.include('keepNames');
    });
  }

  for (const name of generated.filter((one) => one.includes('$'))) {
    it(`fails if the class is called ${name}, which yields no valid name for a URL, with the cure`, async () => {
      const problem: unknown = await linesOf([named(name)]).catch((error: unknown) => error);
      expect(String(problem))
        .to.match(/no valid name can be derived from the class/)
        .and.to.include("@ReadinessProbe({ name: 'search' })")
        .and.to.include('keepNames');
    });
  }

  const short = 'DbProbe S3Probe Http2Probe IoProbe AProbe K8sProbe HTTPServerV2Probe OAuth2Probe Base64Probe'.split(' ');
  const plain = 'Sql Api JWT SearchIndex Probes ProbeOfQueue My_Search Http2 Search2Index'.split(' ');
  const honest = [...short, ...plain];
  for (const name of honest) {
    it(`does not warn about ${name}`, async () => {
      expect(await linesOf([named(name)])).to.have.length(1);
    });
  }

  it('warns about all of them in one line', async () => {
    const lines = await linesOf([named('r'), named('i'), PassingProbe]);
    expect(lines).to.have.length(2);
    expect(lines[0]).to.include('`r`, `i`').and.not.to.include('passing');
  });

  it('does not warn if the decorator sets a name', async () => {
    const { r } = {
      r: class {
        check() {}
      },
    };
    ReadinessProbe({ name: 'queue' })(r);
    expect(await linesOf([r])).to.deep.equal(['info koa-probes: 1 probe: queue (readiness)']);
  });

  it('fails if a static member hides the name of the class', async () => {
    @ReadinessProbe()
    class StaticProbe {
      static readonly name = 5;
      check() {}
    }
    const problem: unknown = await linesOf([StaticProbe]).catch((error: unknown) => error);
    expect((problem as Error).message).to.match(/^An anonymous class: no valid name can be derived from the class/);
  });

  it('fails if the name is empty without `Probe`', async () => {
    for (const [name, subject] of [
      ['Probe', 'Probe'],
      ['', 'An anonymous class'],
    ] as const) {
      const problem: unknown = await linesOf([named(name)]).catch((error: unknown) => error);
      expect((problem as Error).message).to.match(
        new RegExp(`^${subject}: no valid name can be derived from the class, it would be ""\\. Set the name in the decorator`),
      );
    }
  });
});
