import { ConfigurationError } from '../errors.js';
import type { ProbeClass } from '../probe.js';
import { baseOf, constructorOf, inheritsConstructor, type AnyClass } from './constructors.js';

/**
 * What Inversify 7 and 8 inject into a class: an extract of `ClassMetadata` of @inversifyjs/core, which they keep with reflect-metadata.
 * They give it to no subclass. Inversify 6 does, and keeps it in another form.
 */
interface Injections {
  readonly constructorArguments: readonly unknown[];
  readonly properties: ReadonlyMap<string | symbol, unknown>;
}

/** Fails if the class has the constructor of a class that it extends, but not what is injected there. To be called before the container makes the class. */
export function rejectLostArguments(probeClass: ProbeClass): void {
  if (!inheritsConstructor(probeClass) || hasInjectedArguments(probeClass)) return;
  const ancestors = ancestorsOf(probeClass);
  const withConstructor = ancestors.slice(0, ancestors.indexOf(constructorOf(probeClass)) + 1);
  const injected = withConstructor.find(hasInjectedArguments);
  if (injected !== undefined) throw lost('constructor', 'extendConstructorArguments', probeClass, injected);
}

/** Fails if a property that is injected in a class that it extends was left undefined. To be called with what the container has made. */
export function rejectLostProperties(probeClass: ProbeClass, probe: unknown): void {
  for (const ancestor of ancestorsOf(probeClass)) {
    for (const [name, element] of readInjections(ancestor)?.properties ?? []) {
      if (!isInjected(element) || readInjections(probeClass)?.properties.has(name)) continue;
      if ((probe as Record<string | symbol, unknown>)[name] !== undefined) continue;
      throw lost(`property \`${String(name)}\``, 'extendProperties', probeClass, ancestor);
    }
  }
}

/** Fails if the class has a constructor with parameters, and nothing says what they take. Inversify 6 would leave them undefined; later versions refuse it themselves. */
export function rejectBareParameters(probeClass: ProbeClass): void {
  if (constructorOf(probeClass) !== probeClass || !hasBareParameters(probeClass)) return;
  throw new ConfigurationError('nothing says what to inject into its constructor: put `@inject(…)` or `@unmanaged()` on each parameter.');
}

/** A warning if the class has such a constructor from a class that it extends. */
export function findBareParameters(probeClass: ProbeClass): string | undefined {
  const owner = constructorOf(probeClass);
  if (owner === probeClass || hasInjectedArguments(probeClass) || !hasBareParameters(owner)) return undefined;
  return (
    `${probeClass.name} inherits the constructor of ${owner.name}, which has parameters that nothing injects: it is called without arguments. ` +
    `Put \`@inject(…)\` or \`@unmanaged()\` on each of them, or give ${probeClass.name} a constructor of its own.`
  );
}

function hasBareParameters(anyClass: AnyClass): boolean {
  const records = metadataOf(anyClass).map((value) => (isInjections(value) ? value.constructorArguments : value));
  // Inversify 6 has a list of the types, and an object with the index of each parameter that has a decorator.
  const isDescribed = (index: number) => records.some((record) => (Object(record) as Record<number, unknown>)[index] !== undefined);
  return Array.from({ length: anyClass.length }, (_, index) => index).some((index) => !isDescribed(index));
}

function lost(what: string, option: string, probeClass: ProbeClass, ancestor: AnyClass): ConfigurationError {
  const ancestors = ancestorsOf(probeClass);
  const heirs = [probeClass, ...ancestors.slice(0, ancestors.indexOf(ancestor))].toReversed().map(({ name }) => name);
  return new ConfigurationError(
    `${probeClass.name} inherits the ${what} of ${ancestor.name}, but not what is injected there: Inversify leaves it undefined. ` +
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

/** What is `@unmanaged()` has no value. */
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

/** All that reflect-metadata keeps for a class, under whatever key. */
function metadataOf(anyClass: AnyClass): unknown[] {
  const reflection = Reflect as MetadataReflection;
  return (reflection.getOwnMetadataKeys?.(anyClass) ?? []).map((key) => reflection.getOwnMetadata?.(key, anyClass));
}
