import type { AnyClass } from './constructors.js';
import type { Container, ServiceIdentifier } from './container.js';

/** One binding of a container. */
export interface ContainerBinding {
  /** The later it was made, the higher. */
  readonly id: number;
  readonly identifier: ServiceIdentifier;
  /** The class that it makes, or that its value is of. */
  readonly implementation: unknown;
  /** Whether the container makes the class itself, with what it injects. */
  readonly isInjected: boolean;
  /** Whether it is a function that has not made anything yet, so that nobody knows what it will make. */
  readonly isUnknown: boolean;
  /** Whether each `get()` makes another one. */
  readonly isMadeAnew: boolean;
  /** Whether it is the container's own, and not its parent's. */
  readonly isOwn: boolean;
}

/**
 * The bindings that a container resolves, those of its parents too. Undefined for Inversify 7.0 to 7.5.1, which shows them to nobody.
 * From 7.5.2 on a plugin is shown them. 6 has no such way, and is at its end: there they are read from the private field that all of its versions have.
 */
export async function listBindings(container: Container): Promise<ContainerBinding[] | undefined> {
  if (typeof container.register === 'function') return listForPlugin(container);
  return isOfVersion6(container) ? listOfVersion6(container) : undefined;
}

/** As a plugin of Inversify 7 and 8 sees it: an extract of `Binding` of @inversifyjs/core. */
interface PluginBinding {
  readonly id: number;
  readonly type: string;
  readonly scope?: string;
  readonly implementationType?: AnyClass;
  readonly value?: unknown;
  readonly cache?: { readonly value: unknown };
}

interface BindingService {
  getBoundServices(): Iterable<ServiceIdentifier>;
  getNonParentBindings(identifier: ServiceIdentifier): Iterable<PluginBinding> | undefined;
  get(identifier: ServiceIdentifier): Iterable<PluginBinding> | undefined;
}

async function listForPlugin(container: Container): Promise<ContainerBinding[]> {
  const { Plugin } = await import('@inversifyjs/plugin');
  const bindings: ContainerBinding[] = [];
  class ListingPlugin extends Plugin<Container> {
    load(): void {
      const service = this._context.bindingService as unknown as BindingService;
      for (const identifier of service.getBoundServices()) {
        const own = service.getNonParentBindings(identifier);
        for (const binding of own ?? service.get(identifier) ?? []) {
          const { id, type, scope, implementationType, value, cache } = binding;
          bindings.push({
            id,
            identifier,
            implementation: implementationType ?? classOf(type === 'ConstantValue' ? value : cache?.value),
            isInjected: type === 'Instance',
            isUnknown: (type === 'DynamicValue' || type === 'ResolvedValue') && cache?.value === undefined,
            isMadeAnew: scope === 'Transient' || scope === 'Request',
            isOwn: own !== undefined,
          });
        }
      }
    }
  }
  container.register?.(ListingPlugin);
  return bindings;
}

/** An extract of `interfaces.Binding` of Inversify 6. */
interface Version6Binding {
  readonly id: number;
  readonly type: string;
  readonly scope: string;
  readonly implementationType: unknown;
  readonly cache: unknown;
}

interface Version6Container {
  readonly parent: Version6Container | null;
  readonly _bindingDictionary: { getMap(): ReadonlyMap<ServiceIdentifier, readonly Version6Binding[]> };
}

function isOfVersion6(container: unknown): container is Version6Container {
  return typeof (container as Partial<Version6Container>)._bindingDictionary?.getMap === 'function';
}

function listOfVersion6(container: Version6Container): ContainerBinding[] {
  const bindings: ContainerBinding[] = [];
  const seen = new Set<ServiceIdentifier>();
  for (let owner: Version6Container | null = container; owner !== null; owner = owner.parent) {
    const hidden = new Set(seen);
    for (const [identifier, list] of owner._bindingDictionary.getMap()) {
      if (hidden.has(identifier)) continue;
      seen.add(identifier);
      for (const binding of list) bindings.push(describeVersion6(binding, identifier, owner === container));
    }
  }
  return bindings;
}

function describeVersion6(binding: Version6Binding, identifier: ServiceIdentifier, isOwn: boolean): ContainerBinding {
  const { id, type, scope, implementationType, cache } = binding;
  const isInjected = type === 'Instance';
  // What `toService()` makes is a dynamic value that refuses to cache; the binding that it leads to has the scope.
  const isRedirection = Object.getOwnPropertyDescriptor(binding, 'cache')?.get !== undefined;
  return {
    id,
    identifier,
    implementation: isInjected ? implementationType : classOf(cache),
    isInjected,
    isUnknown: type === 'DynamicValue' && cache === null && !isRedirection,
    isMadeAnew: scope !== 'Singleton' && !isRedirection,
    isOwn,
  };
}

/** The class of an instance. */
export function classOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  try {
    return (Object.getPrototypeOf(value) as { constructor?: unknown } | null)?.constructor;
  } catch {
    // A proxy can refuse to say.
    return undefined;
  }
}
