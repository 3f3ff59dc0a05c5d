import { listBindings } from './bindings.js';
import { unbind, unbindAll, type Container } from './container.js';

/**
 * Deactivates what the container has made, the last that was bound first, and waits for all of it. With `unbindAllAsync()` the first that fails would keep the others from being called, or waited for.
 * What a parent binds stays: others may use it.
 *
 * @throws the error of the one that failed, or an AggregateError of several.
 */
export async function deactivateContainer(container: Container): Promise<void> {
  const bindings = await listBindings(container);
  if (bindings === undefined) return unbindAll(container);
  const latestFirst = bindings.filter(({ isOwn }) => isOwn).toSorted((one, other) => other.id - one.id);
  const identify = identifyBindings(container);
  const targets = latestFirst.map(({ id, identifier }) => identify?.(id) ?? identifier);
  const outcomes = await Promise.allSettled([...new Set(targets)].map((target) => unbind(container, target)));
  const errors: unknown[] = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []));
  if (errors.length > 1) throw new AggregateError(errors);
  if (errors.length > 0) throw errors[0];
}

/** How Inversify 7 and 8 identify one of several bindings of a service: by a copy of an identifier that they have given out. 6 unbinds all of a service together. */
function identifyBindings(container: Container): ((id: number) => object) | undefined {
  if (container.register === undefined) return undefined;
  const binding = container.bind(Symbol('koa-probes.deactivation')).toConstantValue(undefined) as { getIdentifier(): object };
  const identifier = binding.getIdentifier();
  return (id) => ({ ...identifier, id });
}
