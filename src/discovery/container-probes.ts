import { becauseOf, ConfigurationError } from '../errors.js';
import type { ProbeLogger } from '../logger.js';
import type { Probe, ProbeClass } from '../probe.js';
import { classOf, type ContainerBinding } from './bindings.js';
import { describeIdentifier, type Container, type ServiceIdentifier } from './container.js';
import { findBareParameters, rejectBareParameters, rejectLostArguments, rejectLostProperties } from './injections.js';
import type { Inversify } from './inversify.js';
import { readProbeMetadata } from './metadata.js';
import { describeClass } from './names.js';

/** A probe that takes longer than this to resolve is named in the log. Otherwise nothing would say why the application does not start. */
const SLOW_RESOLUTION_MS = 5_000;

/** Most identifiers in one line of the log. */
const MOST_NAMED = 5;

/** The probes that one container constructs. */
export class ContainerProbes {
  readonly #container: Container;
  readonly #bindings: readonly ContainerBinding[];
  readonly #inversify: Inversify;
  readonly #logger: ProbeLogger;
  readonly #boundHere = new Set<ProbeClass>();
  readonly #made = new Map<unknown, Probe>();

  /** `bindings` are the bindings of the application. */
  constructor(container: Container, bindings: readonly ContainerBinding[], inversify: Inversify, logger: ProbeLogger) {
    this.#container = container;
    this.#bindings = bindings;
    this.#inversify = inversify;
    this.#logger = logger;
  }

  /** The classes that `bind` has bound. */
  get bound(): Iterable<ProbeClass> {
    return this.#boundHere;
  }

  /** Binds a class that is not bound as itself yet: to the identifier that is bound to it, or otherwise to itself. Any probe can then inject the class. */
  bind(probeClass: ProbeClass): void {
    if (this.#container.isBound(probeClass)) return;
    const [binding, ...more] = this.#bindings.filter(({ implementation }) => implementation === probeClass);
    if (binding === undefined) {
      this.#warnOfSubclass(probeClass);
      this.#boundHere.add(probeClass);
      explainSync(probeClass, () => this.#bindToItself(probeClass));
    } else if (more.length === 0 && this.#isOnlyBinding(binding)) {
      this.#boundHere.add(probeClass);
      this.#container.bind(probeClass).toService(binding.identifier);
    }
  }

  /** Resolves the probe to the instance that the application uses. */
  async make(probeClass: ProbeClass): Promise<Probe> {
    const bindings = this.#bindings.filter(({ identifier, implementation }) => identifier === probeClass || implementation === probeClass);
    const injected = this.#injectedClasses(probeClass, bindings);
    for (const made of injected) {
      explainSync(made, () => rejectBareParameters(made));
      rejectLostArguments(made);
      const warning = findBareParameters(made);
      if (warning !== undefined) this.#logger.warn(warning);
    }
    const probe = await this.#warnWhileSlow(probeClass, this.#resolve(probeClass, bindings));
    this.#made.set(probeClass, probe);
    const made = injected.find((one) => one === classOf(probe) || one === probeClass);
    if (made !== undefined) rejectLostProperties(made, probe);
    if (bindings.some(({ isMadeAnew }) => isMadeAnew)) {
      this.#logger.warn(
        `${describeClass(probeClass)} is bound in transient or request scope, so each get() creates another instance. The probe checks an instance that the application does not use, and the shutdown does not deactivate that instance. ` +
          'Bind the class with `.inSingletonScope()`.',
      );
    }
    return probe;
  }

  /** Warns as soon as a function that is bound under another identifier creates a second instance. The class of its result is not known before the call. */
  watchFactories(): void {
    const identifiers = new Set(this.#bindings.filter(({ isOwn, isUnknown }) => isOwn && isUnknown).map(({ identifier }) => identifier));
    for (const identifier of identifiers) {
      this.#container.onActivation(identifier, (_, value) => {
        this.#warnOfSecond(identifier, value);
        return value;
      });
    }
  }

  #warnOfSecond(identifier: ServiceIdentifier, value: unknown): void {
    const probeClass = classOf(value);
    const probe = this.#made.get(probeClass);
    if (probe === undefined || probe === value) return;
    this.#made.delete(probeClass);
    this.#logger.warn(
      `${describeClass(probeClass as ProbeClass)} was created a second time, for ${describeIdentifier(identifier)}: the probe checks one instance, and the application uses another. ` +
        `Bind the class itself, and point the identifier to it: \`.toService(${(probeClass as ProbeClass).name})\`.`,
    );
  }

  /** Warns if the application uses an instance of a subclass, while the probe gets a separate instance. */
  #warnOfSubclass(probeClass: ProbeClass): void {
    const extending = this.#bindings.find(({ implementation }) => {
      const isSubclass = typeof implementation === 'function' && implementation.prototype instanceof probeClass;
      // A decorated subclass is a probe itself.
      return isSubclass && readProbeMetadata(implementation) === undefined;
    });
    if (extending === undefined) return;
    const subclass = describeClass(extending.implementation as ProbeClass);
    this.#logger.warn(
      `${describeIdentifier(extending.identifier)} is bound to ${subclass}, which extends the probe ${describeClass(probeClass)}: the probe checks an instance of its own, and the application uses another. ` +
        `Put the decorator of the probe on ${subclass}, or point the class of the probe to that binding: \`container.bind(${probeClass.name}).toService(…)\`.`,
    );
  }

  /** Returns a line about the bindings that the shutdown does not deactivate. */
  describeParent(): string | undefined {
    const inherited = [...new Set(this.#bindings.filter(({ isOwn }) => !isOwn).map(({ identifier }) => describeIdentifier(identifier)))];
    if (inherited.length === 0) return undefined;
    const named = inherited.slice(0, MOST_NAMED).join(', ') + (inherited.length > MOST_NAMED ? ', …' : '');
    return (
      `the container is a child container: the shutdown deactivates its own bindings, but not the bindings of its parent (${named}). ` +
      "Deactivate the parent in a hook: `shutdown.onShutdown('parent container', () => …)`."
    );
  }

  /** The classes that the container constructs for the probe. A subclass of the probe can be one of them. */
  #injectedClasses(probeClass: ProbeClass, bindings: readonly ContainerBinding[]): ProbeClass[] {
    if (bindings.length === 0) return [probeClass];
    const made = bindings.filter(({ isInjected }) => isInjected).map(({ implementation }) => implementation);
    return [...new Set(made)].filter((one): one is ProbeClass => typeof one === 'function');
  }

  #bindToItself(probeClass: ProbeClass): void {
    try {
      this.#inversify.injectable()(probeClass);
    } catch {
      // The class is already decorated with `@injectable()`.
    }
    this.#container.bind(probeClass).toSelf().inSingletonScope();
  }

  /** Returns whether its identifier resolves to this binding alone, without a name, a tag or another condition. */
  #isOnlyBinding({ identifier }: ContainerBinding): boolean {
    return this.#container.isBound(identifier) && this.#bindings.filter((binding) => binding.identifier === identifier).length === 1;
  }

  async #resolve(probeClass: ProbeClass, bindings: readonly ContainerBinding[]): Promise<Probe> {
    const others = this.#boundHere.has(probeClass) ? [] : bindings.map(({ identifier }) => identifier);
    const identifiers = new Set(this.#container.isBound(probeClass) ? [probeClass, ...others] : others);
    const instances = new Set<unknown>();
    for (const identifier of identifiers) {
      for (const instance of await explain(probeClass, this.#instancesUnder(identifier, probeClass))) instances.add(instance);
    }
    const [probe, ...more] = instances;
    if (instances.size > 0 && more.length === 0) return probe as Probe;
    const places = [...new Set(bindings.map(({ identifier }) => describeIdentifier(identifier)))].join(' and ');
    const cure = `Bind it once, \`container.bind(${probeClass.name}).toSelf().inSingletonScope()\`, and point every other identifier to it: \`.toService(${probeClass.name})\`.`;
    if (instances.size > 0) {
      throw new ConfigurationError(
        `${describeClass(probeClass)} is bound several times, under ${places}: the probe would check one instance, and the application would use another. ${cure}`,
      );
    }
    throw new ConfigurationError(
      `${describeClass(probeClass)} is bound under ${places} only with a name, a tag or another condition, which the probe does not meet. ${cure}`,
    );
  }

  async #instancesUnder(identifier: ServiceIdentifier, probeClass: ProbeClass): Promise<unknown[]> {
    if (identifier === probeClass) return [await this.#container.getAsync(identifier)];
    const instances = await this.#container.getAllAsync(identifier);
    return instances.filter((instance) => classOf(instance) === probeClass);
  }

  async #warnWhileSlow<T>(probeClass: ProbeClass, resolution: Promise<T>): Promise<T> {
    const warning = setTimeout(() => {
      this.#logger.warn(
        `still waiting for the container to resolve ${describeClass(probeClass)}: the promise of one of its bindings has not settled after ${String(SLOW_RESOLUTION_MS)} ms`,
      );
    }, SLOW_RESOLUTION_MS).unref();
    try {
      return await resolution;
    } finally {
      clearTimeout(warning);
    }
  }
}

async function explain<T>(probeClass: ProbeClass, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw cannotMake(probeClass, error);
  }
}

function explainSync(probeClass: ProbeClass, work: () => void): void {
  try {
    work();
  } catch (error) {
    throw cannotMake(probeClass, error);
  }
}

/** Adds the class and the cure to the error of Inversify or of a constructor. */
function cannotMake(probeClass: ProbeClass, error: unknown): ConfigurationError {
  return becauseOf(
    `The container could not create ${describeClass(probeClass)}. Bind what it injects, fix its constructor, or leave the probe out with \`disabled\`.`,
    error,
  );
}
