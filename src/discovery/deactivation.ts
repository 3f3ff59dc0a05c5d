import { listBindings } from './bindings.js';
import { unbind, unbindAll, type Container } from './container.js';

/**
 * Deactivates everything that the container has created, in reverse order of the bindings, and waits for all deactivations.
 * `unbindAllAsync()` is not used: if one deactivation fails, it does not call or await the others. The bindings of a parent are kept, because others may use them.
 *
 * @throws the error of the deactivation that failed, or an AggregateError if several failed
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

/**
 * Inversify 7 and 8 identify one of several bindings of a service by a binding identifier. A copy of such an identifier with another id identifies another binding.
 * Inversify 6 unbinds all bindings of a service together.
 */
function identifyBindings(container: Container): ((id: number) => object) | undefined {
  if (container.register === undefined) return undefined;
  const binding = container.bind(Symbol('koa-probes.deactivation')).toConstantValue(undefined) as { getIdentifier(): object };
  const identifier = binding.getIdentifier();
  return (id) => ({ ...identifier, id });
}
