import type { AnyClass } from './constructors.js';
import type { Container, ServiceIdentifier } from './container.js';

/** One binding of a container. */
export interface ContainerBinding {
  /** Later bindings have higher ids. */
  readonly id: number;
  readonly identifier: ServiceIdentifier;
  /** The class that the binding constructs, or the class of its value. */
  readonly implementation: unknown;
  /** Whether the container constructs the class and injects its arguments. */
  readonly isInjected: boolean;
  /** Whether the binding is a function that has not been called yet. Its class is not known before the call. */
  readonly isUnknown: boolean;
  /** Whether each `get()` creates another instance. */
  readonly isMadeAnew: boolean;
  /** Whether the binding belongs to the container itself and not to a parent. */
  readonly isOwn: boolean;
}

/**
 * Lists the bindings that a container resolves, including the bindings of its parents. Returns undefined for Inversify 7.0 to 7.5.1, which has no way to list them.
 * From 7.5.2 on a plugin can list them. Inversify 6 has no plugins and gets no new versions, so the private field that all of its versions have is read.
 */
export async function listBindings(container: Container): Promise<ContainerBinding[] | undefined> {
  if (typeof container.register === 'function') return listForPlugin(container);
  return isOfVersion6(container) ? listOfVersion6(container) : undefined;
}

/** A binding as a plugin of Inversify 7 and 8 sees it: an extract of `Binding` in @inversifyjs/core. */
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

/** An extract of `interfaces.Binding` in Inversify 6. */
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
  // `toService()` creates a dynamic value that is never cached. The scope is that of the binding it points to.
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

export function classOf(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  try {
    return (Object.getPrototypeOf(value) as { constructor?: unknown } | null)?.constructor;
  } catch {
    // A proxy can throw.
    return undefined;
  }
}
