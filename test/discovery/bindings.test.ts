import { expect } from 'chai';
import { Container, inject, injectable, preDestroy } from 'inversify';
import { ConfigurationError, discoverProbes, LivenessProbe, ReadinessProbe, type ProbeClass, type ProbeRegistry } from 'koa-probes';
import { childOf, handsInjectionsOn, unbindAll } from '../support/inversify.js';
import { MemoryLogger } from '../support/probes.js';

const TYPES = { Consumer: Symbol.for('Consumer'), Other: Symbol.for('Other') };

@injectable()
@LivenessProbe()
class ConsumerProbe {
  isStuck = false;
  check() {
    if (this.isStuck) throw new Error('the consumer is stuck');
  }
}

@injectable()
class Unrelated {
  readonly isConsumer = false;
}

/** What a graceful shutdown calls at its end. */
const deactivate = (probes: ProbeRegistry) => (probes as ProbeRegistry & { deactivate(): Promise<void> }).deactivate();

abstract class Consumer {
  abstract isStuck: boolean;
  abstract check(): void;
}

async function statusOf(container: Container): Promise<string> {
  const probes = await discoverProbes(container, { classes: [ConsumerProbe], logger: false });
  return (await probes.run('liveness')).status;
}

async function messageOf(container: Container, classes: readonly ProbeClass[] = [ConsumerProbe]): Promise<string> {
  const problem: unknown = await discoverProbes(container, { classes, logger: false }).catch((error: unknown) => error);
  expect(problem).to.satisfy(ConfigurationError.is);
  return (problem as Error).message;
}

describe('discoverProbes(container) when a class is bound under another identifier', () => {
  let container: Container;
  beforeEach(() => (container = new Container()));

  it('warns if the bound class extends the probe, because the probe then has an instance of its own', async () => {
    const logger = new MemoryLogger();
    @injectable()
    class KafkaConsumerProbe extends ConsumerProbe {}
    container.bind(TYPES.Consumer).to(KafkaConsumerProbe).inSingletonScope();
    await discoverProbes(container, { classes: [ConsumerProbe], logger });
    expect(logger.lines.join('\n')).to.match(
      /warn koa-probes: .*is bound to KafkaConsumerProbe, which extends the probe ConsumerProbe: the probe checks an instance of its own/,
    );
  });

  for (const [title, identifier] of [
    ['a symbol', TYPES.Consumer],
    ['a string', 'consumer'],
    ['an abstract class', Consumer],
  ] as const) {
    it(`checks the instance that the application uses, bound under ${title}`, async () => {
      container.bind<ConsumerProbe>(identifier).to(ConsumerProbe).inSingletonScope();
      container.get<ConsumerProbe>(identifier).isStuck = true;
      expect(await statusOf(container)).to.equal('fail');
      expect(container.get(ConsumerProbe)).to.equal(container.get(identifier));
    });
  }

  it('creates the instance if the application has not requested it yet', async () => {
    container.bind(TYPES.Consumer).to(ConsumerProbe).inSingletonScope();
    expect(await statusOf(container)).to.equal('pass');
    expect(container.get(TYPES.Consumer)).to.be.instanceOf(ConsumerProbe);
  });

  it('checks a constant value', async () => {
    const consumer = new ConsumerProbe();
    consumer.isStuck = true;
    container.bind(TYPES.Consumer).toConstantValue(consumer);
    expect(await statusOf(container)).to.equal('fail');
  });

  it('checks a dynamic value that was already created', async () => {
    container
      .bind<ConsumerProbe>(TYPES.Consumer)
      .toDynamicValue(() => new ConsumerProbe())
      .inSingletonScope();
    container.get<ConsumerProbe>(TYPES.Consumer).isStuck = true;
    expect(await statusOf(container)).to.equal('fail');
  });

  it('warns once when a dynamic value turns out to be a second instance', async () => {
    const logger = new MemoryLogger();
    container
      .bind<ConsumerProbe>(TYPES.Consumer)
      .toDynamicValue(() => new ConsumerProbe())
      .inSingletonScope();
    container.bind('limit').toDynamicValue(() => 5);
    await discoverProbes(container, { classes: [ConsumerProbe], logger });
    expect(logger.lines).to.have.length(1);
    expect(container.get<ConsumerProbe>(TYPES.Consumer)).to.equal(container.get(TYPES.Consumer)).and.to.be.instanceOf(ConsumerProbe);
    expect(container.get('limit')).to.equal(5);
    expect(logger.lines.slice(1).join('\n')).to.match(
      /^warn .*ConsumerProbe was created a second time, for Symbol\(Consumer\).*`\.toService\(ConsumerProbe\)`\.$/,
    );
  });

  it('does not warn when a dynamic value returns the instance of the probe', async () => {
    const logger = new MemoryLogger();
    container.bind(ConsumerProbe).toSelf().inSingletonScope();
    container.bind(TYPES.Consumer).toDynamicValue(async () => container.get(ConsumerProbe));
    await discoverProbes(container, { classes: [ConsumerProbe], logger });
    expect(await container.getAsync(TYPES.Consumer)).to.equal(container.get(ConsumerProbe));
    expect(logger.lines).to.have.length(1);
  });

  it('finds the class among other bindings of the same identifier', async () => {
    container.bind(TYPES.Consumer).to(Unrelated).inSingletonScope();
    container.bind(TYPES.Consumer).to(ConsumerProbe).inSingletonScope();
    const consumer = container.getAll<ConsumerProbe>(TYPES.Consumer).find((one) => one instanceof ConsumerProbe);
    consumer!.isStuck = true;
    expect(await statusOf(container)).to.equal('fail');
  });

  it('finds the class in a parent container', async () => {
    container.bind(TYPES.Consumer).to(ConsumerProbe).inSingletonScope();
    container.get<ConsumerProbe>(TYPES.Consumer).isStuck = true;
    expect(await statusOf(childOf(container))).to.equal('fail');
  });

  it('ignores values whose class cannot be read', async () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    for (const value of [proxy, null, undefined, Object.create(null), Promise.resolve(1)]) container.bind('odd').toConstantValue(value);
    expect(await statusOf(container)).to.equal('pass');
  });

  it('accepts several identifiers that resolve to one instance', async () => {
    container.bind(ConsumerProbe).toSelf().inSingletonScope();
    container.bind(TYPES.Consumer).toService(ConsumerProbe);
    container.get<ConsumerProbe>(TYPES.Consumer).isStuck = true;
    expect(await statusOf(container)).to.equal('fail');

    const reversed = new Container();
    reversed.bind(TYPES.Consumer).to(ConsumerProbe).inSingletonScope();
    reversed.bind(ConsumerProbe).toService(TYPES.Consumer);
    reversed.get<ConsumerProbe>(TYPES.Consumer).isStuck = true;
    expect(await statusOf(reversed)).to.equal('fail');
  });

  it('lets another probe inject the probe by its class', async () => {
    @ReadinessProbe()
    class OuterProbe {
      constructor(@inject(ConsumerProbe) readonly consumer: ConsumerProbe) {}
      check() {}
    }
    container.bind(TYPES.Consumer).to(ConsumerProbe).inSingletonScope();
    await discoverProbes(container, { classes: [OuterProbe, ConsumerProbe], logger: false });
    expect(container.get(OuterProbe).consumer).to.equal(container.get(TYPES.Consumer));
  });

  it('fails if the class is bound several times, and says how to bind it once', async () => {
    const cure = /Bind it once, `container\.bind\(ConsumerProbe\).*`\.toService\(ConsumerProbe\)`/;
    container.bind(TYPES.Consumer).to(ConsumerProbe).inSingletonScope();
    container.bind(TYPES.Other).to(ConsumerProbe).inSingletonScope();
    expect(await messageOf(container))
      .to.match(/^ConsumerProbe is bound several times, under Symbol\(Consumer\) and Symbol\(Other\)/)
      .and.match(cure);

    const withItself = new Container();
    withItself.bind(ConsumerProbe).toSelf().inSingletonScope();
    withItself.bind('consumer').to(ConsumerProbe).inSingletonScope();
    expect(await messageOf(withItself))
      .to.match(/^ConsumerProbe is bound several times, under ConsumerProbe and "consumer"/)
      .and.match(cure);
    await unbindAll(withItself);

    const twice = new Container();
    for (let time = 1; time <= 2; time += 1) twice.bind(TYPES.Consumer).to(ConsumerProbe).inSingletonScope();
    expect(await messageOf(twice))
      .to.match(/^ConsumerProbe is bound several times/)
      .and.match(cure);
  });

  it('fails if the binding has a name, because no probe asks for that name', async () => {
    interface Named {
      whenNamed?(name: string): unknown;
      whenTargetNamed?(name: string): unknown;
    }
    const binding = container.bind(TYPES.Consumer).to(ConsumerProbe).inSingletonScope() as Named;
    if (handsInjectionsOn) {
      binding.whenTargetNamed?.('mail');
      expect(await messageOf(container)).to.match(/^The container could not create ConsumerProbe\..*Symbol\(Consumer\)/);
    } else {
      binding.whenNamed?.('mail');
      expect(await messageOf(container)).to.match(
        /^ConsumerProbe is bound under Symbol\(Consumer\) only with a name, a tag.*toService\(ConsumerProbe\)/,
      );
    }
  });

  it('names the class if the instance cannot be created', async () => {
    @injectable()
    @ReadinessProbe()
    class BrokenProbe {
      constructor() {
        throw new Error('no configuration');
      }
      check() {}
    }
    container.bind(TYPES.Other).to(BrokenProbe).inSingletonScope();
    expect(await messageOf(container, [BrokenProbe])).to.match(/^The container could not create BrokenProbe\..*no configuration/);
  });
});

describe('discoverProbes(container) when the shutdown does not deactivate a probe', () => {
  let logger: MemoryLogger;
  let container: Container;
  beforeEach(() => {
    logger = new MemoryLogger();
    container = new Container();
  });
  const lines = async (inContainer = container) => {
    const probes = await discoverProbes(inContainer, { classes: [ConsumerProbe], logger });
    probes.close();
    return logger.lines.join('\n');
  };

  for (const [title, bind] of [
    ['transient scope', () => container.bind(ConsumerProbe).toSelf().inTransientScope()],
    ['request scope', () => container.bind(ConsumerProbe).toSelf().inRequestScope()],
    ['transient scope, under another identifier', () => container.bind(TYPES.Consumer).to(ConsumerProbe).inTransientScope()],
    ['transient scope, by default', () => container.bind(ConsumerProbe).toDynamicValue(() => new ConsumerProbe())],
  ] as const) {
    it(`warns about ${title}`, async () => {
      bind();
      expect(await lines()).to.match(
        /warn .*ConsumerProbe is bound in transient or request scope, so each get\(\) creates another instance.*inSingletonScope/,
      );
    });
  }

  it('does not warn about a singleton, a constant value or `toService()`', async () => {
    container.bind(ConsumerProbe).toSelf().inSingletonScope();
    container.bind(TYPES.Consumer).toService(ConsumerProbe);
    expect(await lines()).not.to.include('warn');
    const constant = new Container();
    constant.bind(ConsumerProbe).toConstantValue(new ConsumerProbe());
    expect(await lines(constant)).not.to.include('warn');
    const redirected = new Container();
    redirected.bind(TYPES.Consumer).to(ConsumerProbe).inSingletonScope();
    redirected.bind(ConsumerProbe).toService(TYPES.Consumer);
    expect(await lines(redirected)).not.to.include('warn');
  });

  it('logs that the bindings of a parent are not deactivated, and keeps them', async () => {
    let destroyed = 0;
    @injectable()
    @ReadinessProbe()
    class ParentProbe {
      check() {}
      @preDestroy()
      destroy() {
        destroyed += 1;
      }
    }
    container.bind(ParentProbe).toSelf().inSingletonScope();
    const probes = await discoverProbes(childOf(container), { classes: [ParentProbe], logger });
    expect(logger.lines.join('\n')).to.match(
      /info .*the container is a child container: the shutdown deactivates its own bindings, but not the bindings of its parent \(ParentProbe\)/,
    );
    await deactivate(probes);
    expect(destroyed).to.equal(0);
    expect(container.isBound(ParentProbe)).to.equal(true);
  });

  it('logs nothing about a parent without bindings', async () => {
    expect(await lines(childOf(container))).not.to.include('child');
  });
});

describe('discoverProbes(container) when Inversify cannot list its bindings', () => {
  it('warns, and deactivates all bindings together', async () => {
    // All of 6 list them.
    if (handsInjectionsOn) return;
    const logger = new MemoryLogger();
    let destroyed = 0;
    // As in Inversify 7.0 to 7.5.1.
    class EarlyContainer extends Container {
      override register = undefined as never;
    }
    @injectable()
    @ReadinessProbe()
    class DestroyedProbe {
      check() {}
      @preDestroy()
      destroy() {
        destroyed += 1;
      }
    }
    const probes = await discoverProbes(new EarlyContainer(), { classes: [DestroyedProbe], logger });
    expect(logger.lines.join('\n')).to.match(/warn .*cannot list its bindings.*Update Inversify to 7\.5\.2 or later/);
    await deactivate(probes);
    expect(destroyed).to.equal(1);
  });
});
