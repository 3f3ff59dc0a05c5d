import type { BindingIdentifier, Container, ServiceIdentifier } from 'inversify';

/** The marks by which Inversify knows a plugin, and the identifier of a binding. */
const IS_PLUGIN = Symbol.for('@inversifyjs/plugin/isPlugin');
const IS_BINDING_IDENTIFIER = Symbol.for('@inversifyjs/container/bindingIdentifier');

/** Of what Inversify gives to a plugin. */
interface PluginContext {
  readonly bindingService: {
    getNonParentBoundServices(): Iterable<ServiceIdentifier>;
    getNonParentBindings(service: ServiceIdentifier): Iterable<BindingIdentifier> | undefined;
  };
}

/**
 * Deactivates what the container has made, the last that was bound first, and waits for all of it. With `unbindAllAsync()` the first that fails would keep the others from being called, or waited for.
 *
 * @throws the error of the one that failed, or an AggregateError of several.
 */
export async function deactivateContainer(container: Container): Promise<void> {
  const bindings = listBindings(container);
  if (bindings === undefined) return container.unbindAllAsync();
  const latestFirst = bindings.toSorted((one, other) => other.id - one.id);
  const outcomes = await Promise.allSettled(latestFirst.map((binding) => container.unbindAsync(binding)));
  const errors: unknown[] = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []));
  if (errors.length > 1) throw new AggregateError(errors);
  if (errors.length > 0) throw errors[0];
}

/** Only a plugin is shown them; nothing, where this Inversify has another way. */
function listBindings(container: Container): BindingIdentifier[] | undefined {
  const bindings: BindingIdentifier[] = [];
  class Listing {
    readonly [IS_PLUGIN] = true;

    constructor(_container: Container, { bindingService }: PluginContext) {
      for (const service of bindingService.getNonParentBoundServices()) {
        for (const { id } of bindingService.getNonParentBindings(service) ?? []) {
          bindings.push({ id, [IS_BINDING_IDENTIFIER]: true } as BindingIdentifier);
        }
      }
    }

    load(): void {}
  }
  try {
    container.register(Listing);
    return bindings;
  } catch {
    return undefined;
  }
}
