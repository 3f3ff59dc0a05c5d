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
   * Glob patterns of modules to import first, so that their decorators run. Patterns are absolute or relative to the working directory.
   * The start fails if a pattern matches no file. Declaration files are ignored.
   * @default []
   * @example ['dist/probes/*.js']
   */
  modules?: readonly string[] | undefined;
  /**
   * The probe classes to use. Every class in the list must have a probe decorator.
   * @default all classes that have been decorated so far in this process
   */
  classes?: readonly ProbeClass[] | undefined;
  /**
   * Names of the probes to leave out. They are neither bound nor constructed. The start fails if no probe has such a name.
   * @default []
   */
  disabled?: readonly string[] | undefined;
  /**
   * Options by the name of the probe. They override the options of the decorator. The start fails if no probe has such a name.
   * @default {}
   * @example { database: { timeoutMs: 300 } }
   */
  settings?: Readonly<Record<string, Omit<ProbeOptions, 'name'>>> | undefined;
  /**
   * A registry to add the probes to. With it, `gracefulShutdown()` can be installed before the discovery, and a signal can end the start:
   * the discovery stops, the container is deactivated, and the process exits. In that case the promise of `discoverProbes()` never settles.
   * Pass `deadlineMs` and `logger` to that registry instead.
   * @default a new registry
   */
  registry?: ProbeRegistry | undefined;
}

/** `settings` finds a probe by its name, so it cannot change the name. */
const SETTING_NAMES = PROBE_OPTION_NAMES.filter((option) => option !== 'name');

const OPTION_NAMES = ['modules', 'classes', 'disabled', 'settings', 'registry', ...REGISTRY_OPTION_NAMES] as const;

/**
 * Finds the decorated classes, creates one probe of each, and resolves to their registry. One line in the log lists the probes that were found.
 *
 * With a `Container` of Inversify 6.1, 7 or 8, a class that is already bound is used as it is bound, even under another identifier. Any other class is bound to itself as a singleton.
 * `ProbeRegistry` and `Lifecycle` are bound too, so that any class can inject them. Without a container each class is created with `new`.
 *
 * @throws ConfigurationError if anything is wrong. The bindings that were added by then are removed again, unless their deactivation fails.
 */
export async function discoverProbes(container?: ProbeContainer, options: DiscoveryOptions = {}): Promise<ProbeRegistry> {
  rejectUnknownOptions('discoverProbes()', options, OPTION_NAMES);
  const { modules = [], classes, disabled = [], settings = {}, registry: given, ...registryOptions } = options;
  for (const [option, value] of Object.entries({ modules, classes: classes ?? [], disabled }))
    checkArray(`\`${option}\` of discoverProbes()`, value);
  checkObject('`settings` of discoverProbes()', settings);
  if (container !== undefined && !isContainer(container)) {
    throw new ConfigurationError(
      `Expected \`container\` of discoverProbes() to be an Inversify container, got ${show(container)}. Without a container, pass the options as the second argument: \`discoverProbes(undefined, { … })\`.`,
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

/** Registries that were already filled by a discovery. A second discovery would fail halfway and close a registry that is in use. */
const discovered = new WeakSet<ProbeRegistry>();

/** Checks for a method and not for the class, because the registry may come from another installed copy of the package. */
function checkGivenRegistry(registry: ProbeRegistry, registryOptions: RegistryOptions): ProbeRegistry {
  if (typeof (registry as Partial<ProbeRegistry> | null)?.add !== 'function') {
    throw new ConfigurationError(
      `Expected \`registry\` of discoverProbes() to be a ProbeRegistry, got ${show(registry)}. Create one with \`new ProbeRegistry()\`.`,
    );
  }
  const [option] = Object.keys(registryOptions);
  if (option !== undefined) {
    throw new ConfigurationError(
      `\`${option}\` of discoverProbes() has no effect on the given \`registry\`. Set it there: \`new ProbeRegistry({ ${option} })\`.`,
    );
  }
  if (registry.isClosed)
    throw new ConfigurationError('`registry` of discoverProbes() is closed. Create another one with `new ProbeRegistry()`.');
  if (registry.deactivate !== undefined) {
    throw new ConfigurationError(
      '`registry` of discoverProbes() already has the probes of a container. Create one registry for each container.',
    );
  }
  if (discovered.has(registry)) {
    throw new ConfigurationError('discoverProbes() was already called with this `registry`. Call it once for each registry.');
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
      'this version of Inversify (7.0 to 7.5.1) cannot list its bindings: a probe that is bound under another identifier than its class is not recognized and is created a second time. Update Inversify to 7.5.2 or later.',
    );
  }
  if (container.isCurrentBound(ProbeRegistry)) {
    throw new ConfigurationError('The container already has a ProbeRegistry. Call discoverProbes() once for each container.');
  }
  const probes = new ContainerProbes(container, bindings ?? [], inversify, registry.logger);
  container.bind(ProbeRegistry).toConstantValue(registry);
  container.bind(REGISTRY_TOKEN).toConstantValue(registry);
  container.bind(Lifecycle).toConstantValue(registry.lifecycle);
  try {
    // Bind all classes first, because a probe may inject one that comes later.
    for (const { probeClass } of candidates) probes.bind(probeClass);
    for (const candidate of candidates) {
      const probe = await probes.make(candidate.probeClass);
      await start.proceed();
      register(candidate, probe);
    }
  } catch (error) {
    // The first error is the cause. An error of a deactivation would hide it.
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
    `\`${option}\` names the probe ${show(unknown)}, which was not found. Probes found: ${listed(known)}. Correct the name, or import the module of the class.`,
  );
}

function addProbe(registry: ProbeRegistry, { name, probeClass, metadata }: Candidate, probe: Probe, setting: ProbeOptions): void {
  const origin = originOf(probeClass.name, ['decorator', metadata.options], ['settings', setting]);
  try {
    if (typeof (probe as Partial<Probe> | undefined)?.check !== 'function') {
      throw new ConfigurationError('its instance has no `check` method. Add one to the class, or bind an instance that has one.');
    }
    const options = overlayOptions(metadata.options, setting);
    const definition = { ...options, name, kinds: metadata.kinds, check: (context: ProbeContext) => probe.check(context) };
    registry.add(resolveDefinition(definition), origin, readOutside(probeClass));
  } catch (error) {
    // The error comes from this library. It is not passed on as the cause, because its text would appear twice.
    throw new ConfigurationError(`${describeClass(probeClass)}: ${describeError(error)}`);
  }
}
