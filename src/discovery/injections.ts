import { ConfigurationError } from '../errors.js';
import type { ProbeClass } from '../probe.js';
import { baseOf, constructorOf, inheritsConstructor, type AnyClass } from './constructors.js';

/**
 * The injections of a class: an extract of `ClassMetadata` in @inversifyjs/core, which Inversify 7 and 8 store with reflect-metadata.
 * Subclasses do not inherit it. In Inversify 6 they do, and the stored form is another one.
 */
interface Injections {
  readonly constructorArguments: readonly unknown[];
  readonly properties: ReadonlyMap<string | symbol, unknown>;
}

/** Throws if the class inherits a constructor but not the injections of that constructor. Call it before the container creates the instance. */
export function rejectLostArguments(probeClass: ProbeClass): void {
  if (!inheritsConstructor(probeClass) || hasInjectedArguments(probeClass)) return;
  const ancestors = ancestorsOf(probeClass);
  const withConstructor = ancestors.slice(0, ancestors.indexOf(constructorOf(probeClass)) + 1);
  const injected = withConstructor.find(hasInjectedArguments);
  if (injected !== undefined) throw lost('constructor', 'extendConstructorArguments', probeClass, injected);
}

/** Throws if an injected property of a class that `probeClass` extends is undefined. Call it with the instance that the container has created. */
export function rejectLostProperties(probeClass: ProbeClass, probe: unknown): void {
  for (const ancestor of ancestorsOf(probeClass)) {
    for (const [name, element] of readInjections(ancestor)?.properties ?? []) {
      if (!isInjected(element) || readInjections(probeClass)?.properties.has(name)) continue;
      if ((probe as Record<string | symbol, unknown>)[name] !== undefined) continue;
      throw lost(`property \`${String(name)}\``, 'extendProperties', probeClass, ancestor);
    }
  }
}

/** Throws if a parameter of the class's own constructor has no injection. Inversify 6 would leave it undefined. Later versions throw an error of their own. */
export function rejectBareParameters(probeClass: ProbeClass): void {
  if (constructorOf(probeClass) !== probeClass || !hasBareParameters(probeClass)) return;
  throw new ConfigurationError('a parameter of its constructor has no injection. Put `@inject(…)` or `@unmanaged()` on each parameter.');
}

/** Returns a warning if the class inherits such a constructor. */
export function findBareParameters(probeClass: ProbeClass): string | undefined {
  const owner = constructorOf(probeClass);
  if (owner === probeClass || hasInjectedArguments(probeClass) || !hasBareParameters(owner)) return undefined;
  return (
    `${probeClass.name} inherits the constructor of ${owner.name}, whose parameters have no injection: the constructor is called without arguments. ` +
    `Put \`@inject(…)\` or \`@unmanaged()\` on each parameter, or give ${probeClass.name} a constructor of its own.`
  );
}

function hasBareParameters(anyClass: AnyClass): boolean {
  const records = metadataOf(anyClass).map((value) => (isInjections(value) ? value.constructorArguments : value));
  // Inversify 6 stores a list of the types, and an object whose keys are the indexes of the decorated parameters.
  const isDescribed = (index: number) => records.some((record) => (Object(record) as Record<number, unknown>)[index] !== undefined);
  return Array.from({ length: anyClass.length }, (_, index) => index).some((index) => !isDescribed(index));
}

function lost(what: string, option: string, probeClass: ProbeClass, ancestor: AnyClass): ConfigurationError {
  const ancestors = ancestorsOf(probeClass);
  const heirs = [probeClass, ...ancestors.slice(0, ancestors.indexOf(ancestor))].toReversed().map(({ name }) => name);
  return new ConfigurationError(
    `${probeClass.name} inherits the ${what} of ${ancestor.name} without its injections, so the injected values are undefined. ` +
      `Put \`@injectFromBase({ ${option}: true })\` on ${heirs.join(' and on ')}, or bind ${probeClass.name} with \`toDynamicValue()\`.`,
  );
}

function ancestorsOf(anyClass: AnyClass): AnyClass[] {
  const base = baseOf(anyClass);
  return base === undefined ? [] : [base, ...ancestorsOf(base)];
}

function hasInjectedArguments(anyClass: AnyClass): boolean {
  return readInjections(anyClass)?.constructorArguments.some(isInjected) ?? false;
}

/** A parameter with `@unmanaged()` has no value. */
function isInjected(element: unknown): boolean {
  return typeof element === 'object' && element !== null && 'value' in element;
}

function readInjections(anyClass: AnyClass): Injections | undefined {
  return metadataOf(anyClass).find(isInjections);
}

function isInjections(value: unknown): value is Injections {
  const { constructorArguments, properties } = (value ?? {}) as Partial<Injections>;
  return Array.isArray(constructorArguments) && properties instanceof Map;
}

interface MetadataReflection {
  getOwnMetadataKeys?(target: object): unknown[];
  getOwnMetadata?(key: unknown, target: object): unknown;
}

/** Returns everything that reflect-metadata stores for a class, under any key. */
function metadataOf(anyClass: AnyClass): unknown[] {
  const reflection = Reflect as MetadataReflection;
  return (reflection.getOwnMetadataKeys?.(anyClass) ?? []).map((key) => reflection.getOwnMetadata?.(key, anyClass));
}
