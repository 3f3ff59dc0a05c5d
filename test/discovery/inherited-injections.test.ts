import { expect } from 'chai';
import { Container, inject, injectable, multiInject, optional, unmanaged } from 'inversify';
import { ConfigurationError, discoverProbes, ReadinessProbe, type ProbeClass } from 'koa-probes';
import { HTTP_TARGET, HttpProbe } from 'koa-probes/http';
import { handsInjectionsOn, injectFromBase } from '../support/inversify.js';
import { MemoryLogger } from '../support/probes.js';

@injectable()
class Client {
  readonly isDown: boolean = false;
}

/** Passes if it has a client. */
class CheckedProbe {
  client?: unknown;
  check() {
    if (!(this.client instanceof Client)) throw new Error('there is no client');
  }
}

@injectable()
class ArgumentProbe extends CheckedProbe {
  constructor(@inject(Client) client: Client) {
    super();
    this.client = client;
  }
}

@injectable()
class PropertyProbe extends CheckedProbe {
  @inject(Client) declare client: Client;
}

function decorated<T extends ProbeClass>(probeClass: T): T {
  ReadinessProbe()(probeClass);
  return probeClass;
}

async function start(probeClass: ProbeClass, logger = new MemoryLogger()): Promise<string> {
  const container = new Container();
  container.bind(Client).toSelf().inSingletonScope();
  container.bind(HTTP_TARGET).toConstantValue({ url: 'http://127.0.0.1:1/' });
  const probes = await discoverProbes(container, { classes: [probeClass], logger });
  const { status } = await probes.run('readiness');
  probes.close();
  return status;
}

/** Inversify 6 injects it; later versions do not, and the start fails. */
async function expectLost(probeClass: ProbeClass, message: RegExp): Promise<void> {
  if (handsInjectionsOn) return expectGiven(probeClass);
  const problem: unknown = await start(probeClass).catch((error: unknown) => error);
  expect(problem).to.satisfy(ConfigurationError.is);
  expect((problem as Error).message).to.match(message);
}

async function expectGiven(probeClass: ProbeClass): Promise<void> {
  expect(await start(probeClass)).to.equal('pass');
}

describe('discoverProbes(container) when a probe extends a class with injections', () => {
  it('fails if it inherits the constructor without the injections', async () => {
    class SearchProbe extends ArgumentProbe {}
    await expectLost(
      decorated(SearchProbe),
      /^SearchProbe inherits the constructor of ArgumentProbe without its injections.*`@injectFromBase\(\{ extendConstructorArguments: true \}\)` on SearchProbe/,
    );
  });

  it('fails across several levels, and names each class that needs the cure', async () => {
    class MiddleProbe extends ArgumentProbe {}
    class SearchProbe extends MiddleProbe {}
    await expectLost(decorated(SearchProbe), /^SearchProbe inherits the constructor of ArgumentProbe.* on MiddleProbe and on SearchProbe/);
  });

  it('fails if a compiler has generated its constructor', async () => {
    const compiled = [
      'class SearchProbe extends ArgumentProbe { constructor() { super(...arguments); this.shards = 5; } }',
      'class SearchProbe extends ArgumentProbe { constructor(...args) { super(...args); _defineProperty(this, "shards", 5); } }',
      'class SearchProbe extends ArgumentProbe{constructor(...e){super(...e),this.shards=5}}',
    ];
    for (const source of compiled) {
      // oxlint-disable-next-line no-implied-eval -- compilers other than the one of this file
      const make = new Function('ArgumentProbe', '_defineProperty', `return ${source}`) as (...args: unknown[]) => ProbeClass;
      await expectLost(decorated(make(ArgumentProbe, () => {})), /^SearchProbe inherits the constructor of ArgumentProbe/);
    }
  });

  it('fails if an inherited injection is optional or a list', async () => {
    @injectable()
    class OptionalProbe extends CheckedProbe {
      constructor(@inject(Client) @optional() client: Client | null = null) {
        super();
        this.client = client;
      }
    }
    class SearchProbe extends OptionalProbe {}
    await expectLost(decorated(SearchProbe), /^SearchProbe inherits the constructor of OptionalProbe/);

    @injectable()
    class ListProbe extends CheckedProbe {
      constructor(@multiInject(Client) clients: readonly Client[] = []) {
        super();
        this.client = clients[0];
      }
    }
    class ListedProbe extends ListProbe {}
    await expectLost(decorated(ListedProbe), /^ListedProbe inherits the constructor of ListProbe/);
  });

  it('fails if it extends a bundled probe', async () => {
    class SearchProbe extends HttpProbe {
      override async check() {}
    }
    await expectLost(decorated(SearchProbe), /^SearchProbe inherits the constructor of HttpProbe/);
  });

  it('fails if it inherits a property without the injection', async () => {
    class SearchProbe extends PropertyProbe {}
    await expectLost(
      decorated(SearchProbe),
      /^SearchProbe inherits the property `client` of PropertyProbe.*`@injectFromBase\(\{ extendProperties: true \}\)` on SearchProbe/,
    );
  });

  it('fails if the application has bound the probe itself', async () => {
    class SearchProbe extends ArgumentProbe {}
    if (handsInjectionsOn) return;
    const container = new Container();
    container.bind(Client).toSelf();
    container.bind('search').to(SearchProbe).inSingletonScope();
    const problem: unknown = await discoverProbes(container, { classes: [decorated(SearchProbe)], logger: false }).catch(
      (error: unknown) => error,
    );
    expect(String(problem)).to.include('SearchProbe inherits the constructor of ArgumentProbe');
  });

  if (!handsInjectionsOn) {
    it('passes with @injectFromBase above or below its decorator, also across several levels', async () => {
      @injectFromBase({ extendConstructorArguments: true })
      @ReadinessProbe()
      class AboveProbe extends ArgumentProbe {}
      @ReadinessProbe()
      @injectFromBase({ extendConstructorArguments: true })
      class BelowProbe extends ArgumentProbe {}
      @injectFromBase({ extendConstructorArguments: true })
      class MiddleProbe extends ArgumentProbe {}
      @ReadinessProbe()
      @injectFromBase({ extendConstructorArguments: true })
      class DeepProbe extends MiddleProbe {}
      @ReadinessProbe()
      @injectFromBase({ extendProperties: true })
      class WithPropertyProbe extends PropertyProbe {}
      for (const probeClass of [AboveProbe, BelowProbe, DeepProbe, WithPropertyProbe]) await expectGiven(probeClass);
    });

    it('passes if it has a constructor of its own', async () => {
      class OwnProbe extends ArgumentProbe {
        constructor() {
          super(new Client());
        }
      }
      class SpreadProbe extends ArgumentProbe {
        constructor() {
          const clients = [new Client()] as const;
          super(...clients);
        }
      }
      class InjectedProbe extends ArgumentProbe {
        constructor(@inject(Client) client: Client) {
          super(client);
        }
      }
      for (const probeClass of [OwnProbe, SpreadProbe, InjectedProbe]) await expectGiven(decorated(probeClass));
    });
  }

  it('passes if it sets the property itself', async () => {
    class SearchProbe extends PropertyProbe {
      override client = new Client();
    }
    await expectGiven(decorated(SearchProbe));
  });

  it('passes if the inherited constructor needs no injection', async () => {
    class EmptyBase extends CheckedProbe {
      constructor() {
        super();
        this.client = new Client();
      }
    }
    @injectable()
    class UnmanagedBase extends CheckedProbe {
      constructor(@unmanaged() client?: Client) {
        super();
        this.client = client ?? new Client();
      }
    }
    class DefaultBase extends CheckedProbe {
      constructor(client = new Client()) {
        super();
        this.client = client;
      }
    }
    for (const base of [EmptyBase, UnmanagedBase, DefaultBase]) await expectGiven(decorated(class SearchProbe extends base {}));
  });

  it('passes if the application has bound another class in its place', async () => {
    class SearchProbe extends ArgumentProbe {}
    @injectable()
    class FakeProbe {
      check() {}
    }
    const container = new Container();
    container.bind<{ check(): void }>(SearchProbe).to(FakeProbe).inSingletonScope();
    const probes = await discoverProbes(container, { classes: [decorated(SearchProbe)], logger: false });
    expect((await probes.run('readiness')).status).to.equal('pass');
  });

  it('passes if the application creates the instance', async () => {
    class SearchProbe extends ArgumentProbe {}
    const container = new Container();
    container
      .bind(SearchProbe)
      .toDynamicValue(() => new SearchProbe(new Client()))
      .inSingletonScope();
    const probes = await discoverProbes(container, { classes: [decorated(SearchProbe)], logger: false });
    expect((await probes.run('readiness')).status).to.equal('pass');
  });

  it('warns if the parameters of the inherited constructor have no injection', async function () {
    // 6 refuses such a class itself.
    if (handsInjectionsOn) return;
    class BareBase extends CheckedProbe {
      constructor(client: Client | undefined) {
        super();
        this.client = client ?? new Client();
      }
    }
    class SearchProbe extends BareBase {}
    const logger = new MemoryLogger();
    expect(await start(decorated(SearchProbe), logger)).to.equal('pass');
    expect(logger.lines.join('\n')).to.match(/warn .*SearchProbe inherits the constructor of BareBase, whose parameters have no injection/);
  });
});
