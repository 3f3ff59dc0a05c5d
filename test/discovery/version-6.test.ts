import 'reflect-metadata';
import { createRequire } from 'node:module';
import { expect } from 'chai';
import { ConfigurationError, discoverProbes, LivenessProbe, type ProbeContainer } from 'koa-probes';
import { MemoryLogger } from '../support/probes.js';

/** What these tests use of Inversify 6. test/package/majors.test.ts runs all tests of discovery on it. */
interface Version6 {
  readonly Container: new () => Container6;
  readonly decorate: (decorator: unknown, target: object) => void;
  readonly injectable: () => unknown;
}

interface Binding6 {
  to(constructor: object): Binding6;
  toService(identifier: unknown): void;
  toDynamicValue(make: () => unknown): Binding6;
  inSingletonScope(): Binding6;
}

interface Container6 extends ProbeContainer {
  bind(identifier: unknown): Binding6;
  get(identifier: unknown): unknown;
}

const { Container, decorate, injectable } = createRequire(import.meta.url)('inversify-6') as Version6;

class ConsumerProbe {
  isStuck = false;
  check() {
    if (this.isStuck) throw new Error('the consumer is stuck');
  }
}
decorate(injectable(), ConsumerProbe);
LivenessProbe()(ConsumerProbe);

describe('discoverProbes() with a container of Inversify 6', () => {
  const CONSUMER = Symbol('consumer');
  const discover = (container: Container6, logger = new MemoryLogger()) => discoverProbes(container, { classes: [ConsumerProbe], logger });

  it('uses the instance that is bound under another identifier', async () => {
    const container = new Container();
    container.bind(CONSUMER).to(ConsumerProbe).inSingletonScope();
    const probes = await discover(container);
    (container.get(CONSUMER) as ConsumerProbe).isStuck = true;
    expect((await probes.run('liveness')).status).to.equal('fail');
  });

  it('fails if a class is bound several times, with the cure, and accepts bindings that resolve to one instance', async () => {
    const container = new Container();
    container.bind(CONSUMER).to(ConsumerProbe).inSingletonScope();
    container.bind('alias').toService(CONSUMER);
    expect((await discover(container)).list()).to.have.length(1);

    const twice = new Container();
    for (const identifier of [CONSUMER, 'another']) twice.bind(identifier).to(ConsumerProbe).inSingletonScope();
    const problem: unknown = await discover(twice).catch((error: unknown) => error);
    expect(problem).to.satisfy(ConfigurationError.is);
    expect(String(problem)).to.include('toService');
  });

  it('warns if each get() creates another instance of the probe', async () => {
    const logger = new MemoryLogger();
    const container = new Container();
    container.bind(CONSUMER).to(ConsumerProbe);
    await discover(container, logger);
    expect(logger.lines.join('\n')).to.match(/warn koa-probes: .*transient/i);
  });
});
