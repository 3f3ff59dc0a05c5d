import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { Container, inject, injectable, preDestroy } from 'inversify';
import {
  ConfigurationError,
  discoverProbes,
  Lifecycle,
  LivenessProbe,
  ProbeRegistry,
  ReadinessProbe,
  StartupProbe,
  type DiscoveryOptions,
  type ProbeClass,
} from 'koa-probes';
import { childOf, handsInjectionsOn } from '../support/inversify.js';
import { run } from '../support/processes.js';
import { MemoryLogger, PassingProbe, SlowConstructorProbe, ThrowingProbe, TwoKindsProbe } from '../support/probes.js';

const discover = (container: Container, classes: readonly ProbeClass[], options: DiscoveryOptions = {}) =>
  discoverProbes(container, { classes, logger: false, ...options });

/** In a process of its own: what is found by itself is all that the process has decorated. */
function runProgram(source: string): Promise<string> {
  const imports = `import { Container } from 'inversify'; import { discoverProbes, ReadinessProbe } from 'koa-probes';`;
  return run(process.execPath, ['--input-type=module', '--eval', imports + source], {
    env: { ...process.env, NODE_EXTRA_CA_CERTS: undefined },
  });
}

/** What a program says without the lines of the log. */
const withoutLog = (output: string) => output.replace(/^koa-probes: .*\n/gm, '');

async function problemOf(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    expect(error).to.satisfy(ConfigurationError.is);
    return error as Error;
  }
  throw new Error('It did not fail.');
}

describe('discoverProbes(container, options)', () => {
  let container: Container;
  beforeEach(() => (container = new Container()));

  it('finds every decorated class of the process if `classes` is not set', async () => {
    const output = await runProgram(`
      class FoundProbe { check() {} }
      class PlainProbe { check() {} }
      ReadinessProbe()(FoundProbe);
      const probes = await discoverProbes(new Container());
      console.log((await probes.run('readiness')).results.map(({ name }) => name).join());
    `);
    expect(withoutLog(output)).to.equal('lifecycle,found\n');
  });

  it('finds classes that a second installed copy of the package has decorated', async () => {
    const output = await runProgram(`
      const { ReadinessProbe: OtherReadinessProbe } = await import(new URL('./discovery/decorators.js?copy', import.meta.resolve('koa-probes')));
      class OtherProbe { check() {} }
      OtherReadinessProbe()(OtherProbe);
      const probes = await discoverProbes(new Container());
      console.log(OtherReadinessProbe === ReadinessProbe, probes.has('readiness', 'other'));
    `);
    expect(withoutLog(output)).to.equal('false true\n');
  });

  it('does not find an undecorated subclass of a decorated class', async () => {
    @ReadinessProbe()
    class ParentProbe {
      check() {}
    }
    class ChildProbe extends ParentProbe {}
    expect((await problemOf(discover(container, [ChildProbe]))).message).to.match(
      /^ChildProbe in `classes` has no probe decorator of its own/,
    );
  });

  it('binds a class to itself as a singleton, and creates it once', async () => {
    let made = 0;
    @ReadinessProbe()
    class CountedProbe {
      constructor() {
        made += 1;
      }
      check() {}
    }
    const probes = await discover(container, [CountedProbe]);
    await probes.run('readiness');
    expect(container.get(CountedProbe)).to.equal(container.get(CountedProbe));
    expect(made).to.equal(1);
  });

  it('uses an existing binding of the class', async () => {
    const probe = new PassingProbe();
    let runs = 0;
    probe.check = async () => void (runs += 1);
    container.bind(PassingProbe).toConstantValue(probe);
    const probes = await discover(container, [PassingProbe]);
    await probes.run('readiness');
    expect(runs).to.equal(1);
  });

  it('uses a class that a parent container binds', async () => {
    const probe = new PassingProbe();
    container.bind(PassingProbe).toConstantValue(probe);
    const child = childOf(container);
    await discover(child, [PassingProbe]);
    expect(child.get(PassingProbe)).to.equal(probe);
    expect(container.isBound(ProbeRegistry)).to.equal(false);
  });

  it('injects constructor arguments, even from bindings that are promises', async () => {
    @ReadinessProbe()
    class InjectedProbe {
      constructor(@inject('url') readonly url: string) {}
      check() {
        return { url: this.url };
      }
    }
    container.bind('url').toDynamicValue(async () => 'https://search');
    const probes = await discover(container, [InjectedProbe]);
    expect((await probes.run('readiness')).results.at(-1)?.data).to.deep.equal({ url: 'https://search' });
  });

  it('lets a probe inject another probe in any order', async () => {
    @ReadinessProbe()
    class OuterProbe {
      constructor(@inject(PassingProbe) readonly inner: PassingProbe) {}
      check() {
        return this.inner.check();
      }
    }
    for (const classes of [
      [OuterProbe, PassingProbe],
      [PassingProbe, OuterProbe],
    ]) {
      const probes = await discover(new Container(), classes);
      expect((await probes.run('readiness')).results.map(({ status }) => status)).to.deep.equal(['pass', 'pass', 'pass']);
    }
  });

  it('accepts a class with @injectable() above or below the decorator of the probe', async () => {
    @injectable()
    @ReadinessProbe()
    class AboveProbe {
      check() {}
    }
    @ReadinessProbe()
    @injectable()
    class BelowProbe {
      check() {}
    }
    expect((await (await discover(container, [AboveProbe, BelowProbe])).run('readiness')).status).to.equal('pass');
  });

  it('lets any class, including a probe, inject ProbeRegistry and Lifecycle', async () => {
    @ReadinessProbe()
    class KnowingProbe {
      constructor(
        @inject(ProbeRegistry) readonly registry: ProbeRegistry,
        @inject(Lifecycle) readonly lifecycle: Lifecycle,
      ) {}
      check() {}
    }
    const probes = await discover(container, [KnowingProbe]);
    expect(container.get(KnowingProbe).registry).to.equal(probes);
    expect(container.get(KnowingProbe).lifecycle).to.equal(probes.lifecycle);
  });

  it('registers every kind of a class with several decorators', async () => {
    const probes = await discover(container, [TwoKindsProbe]);
    expect(probes.has('liveness', 'two-kinds')).to.equal(true);
    expect(probes.has('readiness', 'two-kinds')).to.equal(true);
    expect(probes.has('startup', 'two-kinds')).to.equal(false);
  });

  it('names a probe after its class in kebab case, without Probe', async () => {
    @ReadinessProbe()
    class HTTPServerV2Probe {
      check() {}
    }
    @ReadinessProbe()
    class SearchIndex {
      check() {}
    }
    const probes = await discover(container, [HTTPServerV2Probe, SearchIndex]);
    expect(probes.has('readiness', 'http-server-v2')).to.equal(true);
    expect(probes.has('readiness', 'search-index')).to.equal(true);
  });

  it('waits for a constructor that blocks, without harm to other probes', async () => {
    const probes = await discover(container, [SlowConstructorProbe, PassingProbe]);
    expect((await probes.run('readiness')).status).to.equal('pass');
  });

  it('keeps two containers in one process apart', async () => {
    const other = new Container();
    const [first, second] = [await discover(container, [PassingProbe, ThrowingProbe]), await discover(other, [PassingProbe])];
    first.lifecycle.setReady(false);
    expect((await first.run('readiness')).status).to.equal('fail');
    expect((await second.run('readiness')).status).to.equal('pass');
    expect(container.get(PassingProbe)).not.to.equal(other.get(PassingProbe));
    first.close();
    expect((await second.run('readiness')).status).to.equal('pass');
  });

  describe('with `modules`', () => {
    let folder: string;
    before(async () => (folder = await mkdtemp(join(fileURLToPath(new URL('.', import.meta.url)), 'modules-'))));
    after(() => rm(folder, { recursive: true }));

    it('imports the modules that match, so that their decorators run, and ignores declaration files', async () => {
      const source = `import { ReadinessProbe } from 'koa-probes'; class GlobbedProbe { check() {} } ReadinessProbe()(GlobbedProbe);`;
      await writeFile(join(folder, 'globbed.js'), source);
      await writeFile(join(folder, 'globbed.d.ts'), 'not to be imported');
      const output = await runProgram(`
        const probes = await discoverProbes(new Container(), { modules: [${JSON.stringify(join(folder, 'glob*'))}] });
        console.log(probes.has('readiness', 'globbed'));
      `);
      expect(withoutLog(output)).to.equal('true\n');
    });

    it('fails if a pattern matches nothing, and names the pattern', async () => {
      const { message } = await problemOf(discoverProbes(container, { modules: ['no/such/*.js'] }));
      expect(message).to.match(/pattern "no\/such\/\*\.js" in `modules` matches no file/);
    });

    for (const pattern of [3, undefined, '', {}]) {
      it(`rejects ${JSON.stringify(pattern) ?? 'undefined'} as a pattern, and imports nothing`, async () => {
        const { message } = await problemOf(discoverProbes(container, { modules: [pattern as never] }));
        expect(message).to.match(/Expected every entry of `modules` of discoverProbes\(\) to be a glob pattern, got/);
      });
    }

    it('fails if a module cannot be imported, and names the module', async () => {
      await writeFile(join(folder, 'broken.js'), 'throw new Error("no configuration");');
      const { message } = await problemOf(discoverProbes(container, { modules: [join(folder, 'broken.js')] }));
      expect(message).to.match(/broken\.js in `modules` cannot be imported: no configuration/);
    });
  });

  describe('with `disabled`', () => {
    it('neither registers nor creates these probes', async () => {
      @ReadinessProbe({ name: 'unwanted' })
      class UnwantedProbe {
        constructor(@inject('nothing') readonly nothing: unknown) {}
        check() {}
      }
      const probes = await discover(container, [UnwantedProbe, PassingProbe], { disabled: ['unwanted'] });
      expect(probes.has('readiness', 'unwanted')).to.equal(false);
      expect(probes.has('readiness', 'passing')).to.equal(true);
    });

    it('fails if a name was not found, and lists the names that were', async () => {
      const { message } = await problemOf(discover(container, [PassingProbe], { disabled: ['pasing'] }));
      expect(message).to.match(/`disabled` names the probe "pasing", which was not found\. Probes found: `passing`/);
    });
  });

  describe('with `settings`', () => {
    it('overrides the options of the decorator', async () => {
      @ReadinessProbe({ timeoutMs: 60_000 })
      class PatientProbe {
        check() {
          return new Promise(() => {});
        }
      }
      const probes = await discover(container, [PatientProbe], { settings: { patient: { timeoutMs: 10 } } });
      const { results } = await probes.run('readiness');
      expect(String(results.at(-1)?.error)).to.include('timed out after 10 ms');
    });

    it('keeps the option of the decorator if the setting is undefined', async () => {
      @ReadinessProbe({ timeoutMs: 10 })
      class HastyProbe {
        check() {
          return new Promise(() => {});
        }
      }
      const settings = { hasty: { timeoutMs: undefined } } as unknown as Record<string, object>;
      const probes = await discover(container, [HastyProbe], { settings });
      expect(String((await probes.run('readiness')).results.at(-1)?.error)).to.include('timed out after 10 ms');
    });

    it('fails if the options are not an object or contain a name', async () => {
      for (const options of [300, null, [], { name: 'other' }]) {
        const { message } = await problemOf(discover(container, [PassingProbe], { settings: { passing: options as object } }));
        expect(message).to.match(/(options of `settings\.passing` to be an object|Unknown option `name` of `settings\.passing`)/);
      }
    });

    it('fails if a name was not found, an option does not exist, or a value is out of range', async () => {
      const messages = await Promise.all(
        [{ pasing: {} }, { passing: { timeout: 5 } }, { passing: { timeoutMs: -5 } }].map(
          async (settings) => (await problemOf(discover(new Container(), [PassingProbe], { settings }))).message,
        ),
      );
      expect(messages[0]).to.match(/`settings` names the probe "pasing"/);
      expect(messages[1]).to.match(/Unknown option `timeout` of `settings\.passing`/);
      expect(messages[2]).to.match(/^PassingProbe: Expected `timeoutMs` of probe "passing".*got `-5`/);
    });
  });

  describe('when something is wrong', () => {
    it('names the class and the cure if a binding is missing', async () => {
      @ReadinessProbe()
      class SearchProbe {
        constructor(@inject('SearchClient') readonly client: unknown) {}
        check() {}
      }
      const { message, cause } = await problemOf(discover(container, [SearchProbe]));
      expect(message).to.match(
        /^The container could not create SearchProbe\. Bind what it injects, fix its constructor, or leave the probe out with `disabled`\..*SearchClient/,
      );
      expect(cause).to.be.instanceOf(Error);
    });

    it('names the class whose constructor throws', async () => {
      @ReadinessProbe()
      class BrokenProbe {
        constructor() {
          throw new Error('no configuration');
        }
        check() {}
      }
      expect((await problemOf(discover(container, [BrokenProbe]))).message).to.match(/could not create BrokenProbe\. .*no configuration/);
    });

    it('names the class if a constructor parameter has no injection', async () => {
      @ReadinessProbe()
      class ForgetfulProbe {
        constructor(readonly client: string) {}
        check() {}
      }
      expect((await problemOf(discover(container, [ForgetfulProbe]))).message).to.match(/could not create ForgetfulProbe\. .*@inject/);
    });

    it('names the circular dependency if probes inject each other', async function () {
      // Inversify 6 goes round such a circle until the memory is full.
      if (handsInjectionsOn) return;
      const token = Symbol('last');
      @ReadinessProbe()
      class FirstProbe {
        constructor(@inject(token) readonly last: unknown) {}
        check() {}
      }
      @ReadinessProbe()
      class LastProbe {
        constructor(@inject(FirstProbe) readonly first: FirstProbe) {}
        check() {}
      }
      container.bind(token).toService(LastProbe);
      const { message } = await problemOf(discover(container, [FirstProbe, LastProbe]));
      expect(message).to.match(/could not create FirstProbe\. .*Circular dependency found: FirstProbe -> .*LastProbe -> FirstProbe/);
    });

    it('names both classes if a name is used twice', async () => {
      @LivenessProbe({ name: 'passing' })
      class OtherProbe {
        check() {}
      }
      const { message } = await problemOf(discover(container, [PassingProbe, OtherProbe]));
      expect(message).to.match(/PassingProbe and OtherProbe are both named "passing"\. Give one of them another name/);
    });

    it('says that a class is anonymous', async () => {
      const { message } = await problemOf(
        discover(container, [
          decorated(
            class {
              check() {}
            },
          ),
        ]),
      );
      expect(message).to.match(/^An anonymous class: no valid name/);
    });

    it('names the class whose instance has no `check`', async () => {
      container.bind(PassingProbe).toConstantValue({} as PassingProbe);
      expect((await problemOf(discover(container, [PassingProbe]))).message).to.match(/^PassingProbe: .*no `check` method/);
    });

    it('names the entry of `classes` that is not a class', async () => {
      expect((await problemOf(discover(container, ['search' as never]))).message).to.match(/^"search" in `classes`/);
    });

    it('names the option that does not exist or is out of range', async () => {
      expect((await problemOf(discover(container, [], { class: [] } as object))).message).to.match(
        /Unknown option `class` of discoverProbes\(\)/,
      );
      expect((await problemOf(discover(container, [], { deadlineMs: -1 }))).message).to.match(/`deadlineMs` of the registry/);
      expect((await problemOf(discover(container, [], { disabled: 'search' as never }))).message).to.match(
        /`disabled` of discoverProbes\(\) to be an array, got "search"/,
      );
    });

    it('says that the container already has a registry, even if two calls run at the same time', async () => {
      const both = await Promise.allSettled([discover(container, []), discover(container, [])]);
      expect(both.map(({ status }) => status)).to.deep.equal(['fulfilled', 'rejected']);
      expect((await problemOf(discover(container, []))).message).to.match(/already has a ProbeRegistry/);
    });

    it('uses a class once if it is listed twice', async () => {
      expect((await (await discover(container, [PassingProbe, PassingProbe])).run('readiness')).results).to.have.length(2);
    });

    for (const [shown, value] of [
      ['`null`', null],
      ['an object', { classes: [] }],
      ['"container"', 'container'],
    ] as const) {
      it(`rejects ${shown} as a container, and says where the options go`, async () => {
        expect((await problemOf(discoverProbes(value as never))).message).to.equal(
          `Expected \`container\` of discoverProbes() to be an Inversify container, got ${shown}. Without a container, pass the options as the second argument: \`discoverProbes(undefined, { … })\`.`,
        );
      });
    }

    it('removes its bindings, and can be called again', async () => {
      let destroyed = 0;
      @StartupProbe()
      class FirstProbe {
        check() {}
        @preDestroy()
        destroy() {
          destroyed += 1;
        }
      }
      @ReadinessProbe()
      class SecondProbe {
        constructor(@inject('late') readonly late: unknown) {}
        check() {}
      }
      await problemOf(discover(container, [FirstProbe, SecondProbe]));
      expect(destroyed).to.equal(1);
      expect([ProbeRegistry, Lifecycle, FirstProbe, SecondProbe].some((identifier) => container.isBound(identifier))).to.equal(false);
      container.bind('late').toConstantValue(1);
      expect((await (await discover(container, [FirstProbe, SecondProbe])).run('readiness')).status).to.equal('pass');
    });

    it('reports only the original error if its bindings cannot be removed', async () => {
      @ReadinessProbe()
      class StubbornProbe {
        check() {}
        @preDestroy()
        destroy() {
          throw new Error('stop failed');
        }
      }
      @ReadinessProbe()
      class RejectedProbe {
        constructor(@inject('database') readonly database: unknown) {}
        check() {}
      }
      container
        .bind('database')
        .toDynamicValue(() => Promise.reject(new Error('connect ECONNREFUSED 10.0.0.7:5432')))
        .inSingletonScope();
      for (let call = 1; call <= 2; call += 1) {
        const { message } = await problemOf(discover(container, [StubbornProbe, RejectedProbe]));
        expect(message).to.match(/could not create RejectedProbe\. .*connect ECONNREFUSED/);
        expect([ProbeRegistry, Lifecycle].some((identifier) => container.isBound(identifier))).to.equal(false);
      }
    });

    it('names the class that it waits for if a binding never settles', async function () {
      @ReadinessProbe()
      class StuckProbe {
        constructor(@inject('stuck') readonly stuck: unknown) {}
        check() {}
      }
      let settle: (value: unknown) => void = () => {};
      container.bind('stuck').toDynamicValue(() => new Promise((resolve) => (settle = resolve)));
      const logger = new MemoryLogger();
      const warned = new Promise<void>((resolve) => {
        logger.warn = (message) => (logger.lines.push(message), resolve());
      });
      const discovered = discover(container, [StuckProbe], { logger });
      await warned;
      settle('free');
      await discovered;
      expect(logger.lines.join()).to.match(/still waiting for the container to resolve StuckProbe/);
    });
  });
});

describe('@ReadinessProbe(options)', () => {
  it('rejects an option that two decorators of one class set to different values', () => {
    expect(() => {
      @LivenessProbe({ timeoutMs: 100 })
      @ReadinessProbe({ timeoutMs: 200 })
      class TornProbe {
        check() {}
      }
      return TornProbe;
    }).to.throw(ConfigurationError, /decorators of TornProbe set `timeoutMs` to two values, `100`.* and `200`/);
  });

  it('rejects a use without parentheses, which a build without type checks would allow', () => {
    const decorator = LivenessProbe as unknown as (probeClass: unknown) => unknown;
    expect(() => decorator(PassingProbe)).to.throw(
      ConfigurationError,
      /liveness probe PassingProbe has no parentheses.*`@LivenessProbe\(\)`/,
    );
    expect(() => decorator(null)).to.throw(ConfigurationError, /the options of a liveness probe to be an object, got `null`/);
  });

  it('rejects anything but a class', () => {
    const decorator = ReadinessProbe() as (target: unknown) => void;
    expect(() => decorator({})).to.throw(
      ConfigurationError,
      /A readiness probe must be a class, but the decorator is applied to an object/,
    );
  });
});

function decorated(probeClass: ProbeClass): ProbeClass {
  ReadinessProbe()(probeClass);
  return probeClass;
}
