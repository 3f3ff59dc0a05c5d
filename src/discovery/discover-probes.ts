import { injectable, type Container } from 'inversify';
import { deactivateContainer } from './deactivation.js';
import { listDecoratedClasses } from './decorators.js';
import { resolveDefinition } from '../registry/definition.js';
import { originOf } from '../registry/description.js';
import { ConfigurationError, describeError } from '../errors.js';
import { Lifecycle } from '../lifecycle/lifecycle.js';
import { readProbeMetadata, type ProbeMetadata } from './metadata.js';
import { beginDiscovery, type DiscoveryStart } from './discovery-start.js';
import { readOutside } from '../run/outside.js';
import { importModules } from './modules.js';
import {
  nameOfClass,
  overlayOptions,
  PROBE_OPTION_NAMES,
  type Probe,
  type ProbeClass,
  type ProbeContext,
  type ProbeOptions,
} from '../probe.js';
import { ProbeRegistry, REGISTRY_OPTION_NAMES, type RegistryOptions } from '../registry/registry.js';
import { REGISTRY_TOKEN } from './registry-token.js';
import { checkArray, checkObject, listed, rejectUnknownOptions, show } from '../validation.js';

export interface DiscoveryOptions extends RegistryOptions {
  /**
   * Glob patterns of modules to import first, so that their decorators run; relative to the working directory, or absolute.
   * A pattern that matches nothing fails the start. Declaration files are passed over.
   * @example ['dist/probes/*.js']
   */
  modules?: readonly string[] | undefined;
  /**
   * Exactly these classes, instead of all that are decorated.
   */
  classes?: readonly ProbeClass[] | undefined;
  /**
   * Names of probes to leave out. They are neither bound nor constructed.
   */
  disabled?: readonly string[] | undefined;
  /**
   * Options by the probe's name. They win over those of the decorator.
   * @example { database: { timeoutMs: 300 } }
   */
  settings?: Readonly<Record<string, Omit<ProbeOptions, 'name'>>> | undefined;
  /**
   * The registry to fill, instead of a new one: `gracefulShutdown()` can be installed on it first. A signal then ends the start: the discovery stops, the container is deactivated, and the process exits.
   * In that case the promise of `discoverProbes()` never settles. `deadlineMs` and `logger` are given to the registry.
   */
  registry?: ProbeRegistry | undefined;
}

/** A probe is set up by the name that its class has. */
const SETTING_NAMES = PROBE_OPTION_NAMES.filter((option) => option !== 'name');

const OPTION_NAMES = ['modules', 'classes', 'disabled', 'settings', 'registry', ...REGISTRY_OPTION_NAMES] as const;

/** A binding that takes longer than this to resolve is named in the log: nothing else would say why the application does not start. */
const SLOW_RESOLUTION_MS = 5_000;

interface Candidate {
  readonly name: string;
  readonly probeClass: ProbeClass;
  readonly metadata: ProbeMetadata;
}

/**
 * Finds the decorated classes, has the container make one of each, and resolves to their registry.
 * A class that the container binds already is used as bound; any other is bound to itself as a singleton.
 * `ProbeRegistry` and `Lifecycle` are bound too, so that any class can inject them.
 *
 * @throws ConfigurationError where anything is amiss; what it had bound by then is unbound again, as far as its deactivations allow.
 */
export async function discoverProbes(container: Container, options: DiscoveryOptions = {}): Promise<ProbeRegistry> {
  rejectUnknownOptions('discoverProbes()', options, OPTION_NAMES);
  const { modules = [], classes, disabled = [], settings = {}, registry: given, ...registryOptions } = options;
  for (const [option, value] of Object.entries({ modules, classes: classes ?? [], disabled }))
    checkArray(`\`${option}\` of discoverProbes()`, value);
  checkObject('`settings` of discoverProbes()', settings);
  if (typeof (container as Partial<Container> | undefined)?.isCurrentBound !== 'function') {
    throw new ConfigurationError(`Expected \`container\` of discoverProbes() to be a Container of Inversify, got ${show(container)}.`);
  }
  const registry = given === undefined ? new ProbeRegistry(registryOptions) : checkGivenRegistry(given, registryOptions);
  registry.deactivate = () => deactivateContainer(container);
  const start = beginDiscovery(registry);
  try {
    await discoverInto(registry, start, container, options);
  } catch (error) {
    registry.close();
    if (registry.lifecycle.isShuttingDown) registry.logger.error(`the discovery of the probes failed: ${describeError(error)}`);
    await start.proceed();
    throw error;
  } finally {
    start.end();
  }
  return registry;
}

async function discoverInto(
  registry: ProbeRegistry,
  start: DiscoveryStart,
  container: Container,
  { modules = [], classes, disabled = [], settings = {} }: DiscoveryOptions,
): Promise<void> {
  await importModules(modules);
  await start.proceed();
  if (container.isCurrentBound(ProbeRegistry)) {
    throw new ConfigurationError('The container has a ProbeRegistry already. Call discoverProbes() once for each container.');
  }
  const candidates = [...new Set(classes ?? listDecoratedClasses())].map(readCandidate);
  rejectUnknownNames('disabled', disabled, candidates);
  rejectUnknownNames('settings', Object.keys(settings), candidates);
  for (const [name, setting] of Object.entries(settings)) rejectUnknownOptions(`\`settings.${name}\``, setting, SETTING_NAMES);
  const enabled = candidates.filter(({ name }) => !disabled.includes(name));
  rejectTwins(enabled);

  const bound: (ProbeClass | typeof ProbeRegistry | typeof Lifecycle | symbol)[] = [ProbeRegistry, REGISTRY_TOKEN, Lifecycle];
  container.bind(ProbeRegistry).toConstantValue(registry);
  container.bind(REGISTRY_TOKEN).toConstantValue(registry);
  container.bind(Lifecycle).toConstantValue(registry.lifecycle);
  try {
    // All of them first: a probe may inject one that comes after it.
    for (const { probeClass } of enabled) {
      if (container.isBound(probeClass)) continue;
      bound.push(probeClass);
      await explain(probeClass, () => bindToItself(container, probeClass));
    }
    for (const candidate of enabled) {
      const probe = await resolveProbe(container, candidate.probeClass, registry);
      await start.proceed();
      register(registry, probe, candidate, settings[candidate.name] ?? {});
    }
  } catch (error) {
    // Why it fails is the first error, and not what a deactivation says to that.
    for (const identifier of bound.toReversed()) await container.unbindAsync(identifier).catch(() => {});
    throw error;
  }
}

/** By its parts: it may come from another installed copy of the package. */
function checkGivenRegistry(registry: ProbeRegistry, registryOptions: RegistryOptions): ProbeRegistry {
  if (typeof (registry as Partial<ProbeRegistry> | null)?.add !== 'function') {
    throw new ConfigurationError(
      `Expected \`registry\` of discoverProbes() to be a ProbeRegistry, got ${show(registry)}. Make one with \`new ProbeRegistry()\`.`,
    );
  }
  const [option] = Object.keys(registryOptions);
  if (option !== undefined) {
    throw new ConfigurationError(
      `\`${option}\` of discoverProbes() is an option of the registry, and one is given. Give it to that: \`new ProbeRegistry({ ${option} })\`.`,
    );
  }
  if (registry.deactivate !== undefined) {
    throw new ConfigurationError('`registry` of discoverProbes() has probes of a container already. Make a registry for each container.');
  }
  return registry;
}

function readCandidate(probeClass: ProbeClass): Candidate {
  const metadata = typeof probeClass === 'function' ? readProbeMetadata(probeClass) : undefined;
  if (metadata === undefined) {
    const subject = typeof probeClass === 'function' ? probeClass.name : show(probeClass);
    throw new ConfigurationError(
      `${subject} in \`classes\` has no probe decorator of its own. Decorate the class with @LivenessProbe(), @ReadinessProbe() or @StartupProbe().`,
    );
  }
  return { probeClass, metadata, name: metadata.options.name ?? nameOfClass(probeClass.name) };
}

function rejectTwins(candidates: readonly Candidate[]): void {
  const seen = new Map<string, ProbeClass>();
  for (const { name, probeClass } of candidates) {
    const twin = seen.get(name);
    if (twin !== undefined) {
      throw new ConfigurationError(
        `${twin.name} and ${probeClass.name} are both named ${show(name)}. Give one of them a name of its own: \`@ReadinessProbe({ name: '…' })\`, or list the classes to use in \`classes\`.`,
      );
    }
    seen.set(name, probeClass);
  }
}

function rejectUnknownNames(option: string, names: readonly string[], candidates: readonly Candidate[]): void {
  const known = candidates.map(({ name }) => name);
  const unknown = names.find((name) => !known.includes(name));
  if (unknown === undefined) return;
  throw new ConfigurationError(
    `\`${option}\` names the probe ${show(unknown)}, which was not found. Found are ${listed(known)}. Correct the name, or import the module of its class.`,
  );
}

async function resolveProbe(container: Container, probeClass: ProbeClass, registry: ProbeRegistry): Promise<Probe> {
  const className = nameOf(probeClass);
  const warning = setTimeout(() => {
    registry.logger.warn(
      `still waiting for the container to resolve ${className}: one of its bindings has not settled after ${String(SLOW_RESOLUTION_MS)} ms`,
    );
  }, SLOW_RESOLUTION_MS).unref();
  try {
    return await explain(probeClass, () => container.getAsync<Probe>(probeClass));
  } finally {
    clearTimeout(warning);
  }
}

/** What Inversify says to `work`, with the class and the cure. */
async function explain<T>(probeClass: ProbeClass, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new ConfigurationError(
      `The container cannot make ${nameOf(probeClass)}. Bind what it injects, mend its constructor, or leave it out with \`disabled\`. It said: ${describeError(error)}`,
      { cause: error },
    );
  }
}

function bindToItself(container: Container, probeClass: ProbeClass): void {
  try {
    injectable()(probeClass);
  } catch {
    // The class carries `@injectable()` itself.
  }
  container.bind(probeClass).toSelf().inSingletonScope();
}

function register(registry: ProbeRegistry, probe: Probe, { name, probeClass, metadata }: Candidate, setting: ProbeOptions): void {
  const origin = originOf(probeClass.name, ['decorator', metadata.options], ['settings', setting]);
  try {
    if (typeof probe?.check !== 'function') throw new ConfigurationError('what the container has bound to it has no method `check`.');
    const options = overlayOptions(metadata.options, setting);
    const definition = { ...options, name, kinds: metadata.kinds, check: (context: ProbeContext) => probe.check(context) };
    registry.add(resolveDefinition(definition), origin, readOutside(probeClass));
  } catch (error) {
    throw new ConfigurationError(`${nameOf(probeClass)}: ${describeError(error)}`, { cause: error });
  }
}

function nameOf(probeClass: ProbeClass): string {
  return probeClass.name || 'An anonymous class';
}
