import { listBindings } from './bindings.js';
import { announceProbes } from './announcement.js';
import { isContainer, unbind, type Container, type ProbeContainer } from './container.js';
import { ContainerProbes } from './container-probes.js';
import { deactivateContainer } from './deactivation.js';
import { resolveDefinition } from '../registry/definition.js';
import { originOf } from '../registry/description.js';
import { ConfigurationError, describeError } from '../errors.js';
import { Lifecycle } from '../lifecycle/lifecycle.js';
import { listDecoratedClasses, readProbeMetadata } from './metadata.js';
import { importInversify } from './inversify.js';
import { beginDiscovery, type DiscoveryStart } from './discovery-start.js';
import { importModules } from './modules.js';
import { describeClass, findGeneratedNames, nameCandidate, type Candidate } from './names.js';
import { makeWithNew } from './new-probes.js';
import { readOutside } from '../run/outside.js';
import { overlayOptions, PROBE_OPTION_NAMES, type Probe, type ProbeClass, type ProbeContext, type ProbeOptions } from '../probe.js';
import { ProbeRegistry, REGISTRY_OPTION_NAMES, type RegistryOptions } from '../registry/registry.js';
import { REGISTRY_TOKEN } from './registry-token.js';
import { rejectTwins } from './twins.js';
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

/**
 * Finds the decorated classes, makes one probe of each, and resolves to their registry. One line of the log says what was found.
 *
 * With a `Container` of Inversify 6.1, 7 or 8, a class that it binds is used as bound, also under another identifier; any other class is bound to itself as a singleton.
 * `ProbeRegistry` and `Lifecycle` are bound too, so that any class can inject them. Without a container each class is made with `new`.
 *
 * @throws ConfigurationError where anything is amiss; what it had bound by then is unbound again, as far as its deactivations allow.
 */
export async function discoverProbes(container?: ProbeContainer, options: DiscoveryOptions = {}): Promise<ProbeRegistry> {
  rejectUnknownOptions('discoverProbes()', options, OPTION_NAMES);
  const { modules = [], classes, disabled = [], settings = {}, registry: given, ...registryOptions } = options;
  for (const [option, value] of Object.entries({ modules, classes: classes ?? [], disabled }))
    checkArray(`\`${option}\` of discoverProbes()`, value);
  checkObject('`settings` of discoverProbes()', settings);
  if (container !== undefined && !isContainer(container)) {
    throw new ConfigurationError(
      `Expected \`container\` of discoverProbes() to be a Container of Inversify, got ${show(container)}. Without a container, options come second: \`discoverProbes(undefined, { … })\`.`,
    );
  }
  const registry = given === undefined ? new ProbeRegistry(registryOptions) : checkGivenRegistry(given, registryOptions);
  if (container !== undefined) registry.deactivate = () => deactivateContainer(container);
  discovered.add(registry);
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
  container: Container | undefined,
  { modules = [], classes, disabled = [], settings = {} }: DiscoveryOptions,
): Promise<void> {
  await importModules(modules);
  await start.proceed();
  const candidates = [...new Set(classes ?? listDecoratedClasses())].map(readCandidate);
  rejectUnknownNames('disabled', disabled, candidates);
  rejectUnknownNames('settings', Object.keys(settings), candidates);
  for (const [name, setting] of Object.entries(settings)) rejectUnknownOptions(`\`settings.${name}\``, setting, SETTING_NAMES);
  const enabled = candidates.filter(({ name }) => !disabled.includes(name));
  rejectTwins(enabled);

  const register = (candidate: Candidate, probe: Probe) => addProbe(registry, candidate, probe, settings[candidate.name] ?? {});
  if (container === undefined) for (const candidate of enabled) register(candidate, makeWithNew(candidate.probeClass));
  else await makeInContainer(container, registry, start, enabled, register);
  const warning = findGeneratedNames(enabled);
  if (warning !== undefined) registry.logger.warn(warning);
  const isNoneWanted = classes?.length === 0 || candidates.length > enabled.length || registry.list().length > enabled.length;
  announceProbes(registry.logger, enabled, isNoneWanted);
}

/** Registries whose probes were discovered. A second discovery would fail in the middle, and close a registry that is in use. */
const discovered = new WeakSet<ProbeRegistry>();

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
  if (registry.isClosed)
    throw new ConfigurationError('`registry` of discoverProbes() is closed. Make another one with `new ProbeRegistry()`.');
  if (registry.deactivate !== undefined) {
    throw new ConfigurationError('`registry` of discoverProbes() has probes of a container already. Make a registry for each container.');
  }
  if (discovered.has(registry)) {
    throw new ConfigurationError('discoverProbes() was called already with this `registry`. Call it once for each registry.');
  }
  return registry;
}

async function makeInContainer(
  container: Container,
  registry: ProbeRegistry,
  start: DiscoveryStart,
  candidates: readonly Candidate[],
  register: (candidate: Candidate, probe: Probe) => void,
): Promise<void> {
  const inversify = await importInversify();
  const bindings = await listBindings(container);
  if (bindings === undefined) {
    registry.logger.warn(
      'this version of Inversify (7.0 to 7.5.1) does not list its bindings: a probe that is bound under another identifier than its class is not found, and made a second time. Update it to 7.5.2 or later.',
    );
  }
  if (container.isCurrentBound(ProbeRegistry)) {
    throw new ConfigurationError('The container has a ProbeRegistry already. Call discoverProbes() once for each container.');
  }
  const probes = new ContainerProbes(container, bindings ?? [], inversify, registry.logger);
  container.bind(ProbeRegistry).toConstantValue(registry);
  container.bind(REGISTRY_TOKEN).toConstantValue(registry);
  container.bind(Lifecycle).toConstantValue(registry.lifecycle);
  try {
    // All of them first: a probe may inject one that comes after it.
    for (const { probeClass } of candidates) probes.bind(probeClass);
    for (const candidate of candidates) {
      const probe = await probes.make(candidate.probeClass);
      await start.proceed();
      register(candidate, probe);
    }
  } catch (error) {
    // Why it fails is the first error, and not what a deactivation says to that.
    for (const identifier of [ProbeRegistry, REGISTRY_TOKEN, Lifecycle, ...probes.bound].toReversed()) {
      await unbind(container, identifier).catch(() => {});
    }
    throw error;
  }
  probes.watchFactories();
  const parent = probes.describeParent();
  if (parent !== undefined) registry.logger.info(parent);
}

function readCandidate(probeClass: ProbeClass): Candidate {
  const metadata = typeof probeClass === 'function' ? readProbeMetadata(probeClass) : undefined;
  if (metadata === undefined) {
    const subject = typeof probeClass === 'function' ? probeClass.name : show(probeClass);
    throw new ConfigurationError(
      `${subject} in \`classes\` has no probe decorator of its own. Decorate the class with @LivenessProbe(), @ReadinessProbe() or @StartupProbe().`,
    );
  }
  return { probeClass, metadata, name: nameCandidate(probeClass, metadata) };
}

function rejectUnknownNames(option: string, names: readonly string[], candidates: readonly Candidate[]): void {
  const known = candidates.map(({ name }) => name);
  const unknown = names.find((name) => !known.includes(name));
  if (unknown === undefined) return;
  throw new ConfigurationError(
    `\`${option}\` names the probe ${show(unknown)}, which was not found. Found are ${listed(known)}. Correct the name, or import the module of its class.`,
  );
}

function addProbe(registry: ProbeRegistry, { name, probeClass, metadata }: Candidate, probe: Probe, setting: ProbeOptions): void {
  const origin = originOf(probeClass.name, ['decorator', metadata.options], ['settings', setting]);
  try {
    if (typeof (probe as Partial<Probe> | undefined)?.check !== 'function') {
      throw new ConfigurationError('its instance has no method `check`. Write one, or bind an instance that has one.');
    }
    const options = overlayOptions(metadata.options, setting);
    const definition = { ...options, name, kinds: metadata.kinds, check: (context: ProbeContext) => probe.check(context) };
    registry.add(resolveDefinition(definition), origin, readOutside(probeClass));
  } catch (error) {
    // The error of the library itself, with the class: its text twice would be one too many.
    throw new ConfigurationError(`${describeClass(probeClass)}: ${describeError(error)}`);
  }
}
