import { ConfigurationError } from '../errors.js';
import type { ProbeContext } from '../probe.js';

/**
 * Checks all targets at the same time. Resolves when all have passed; rejects with the first failure, and aborts the checks that still run then:
 * the signal of a run that has failed is never aborted, and a silent target would hold its socket for ever.
 */
export async function checkTargets<T>(
  targets: Iterable<T>,
  { signal }: Pick<ProbeContext, 'signal'>,
  check: (target: T, context: Pick<ProbeContext, 'signal'>) => Promise<void>,
): Promise<void> {
  signal.throwIfAborted();
  // Made by hand: `AbortSignal.any` leaks for periodic probes (nodejs/node#54614).
  const controller = new AbortController();
  const onAbort = () => controller.abort(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await Promise.all(Array.from(targets, (target) => check(target, controller)));
  } catch (error) {
    controller.abort(error);
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Fails the start of a probe to whose token nothing is bound: `@multiInject` gives an empty list and says nothing. */
export function requireTargets(probe: string, targets: readonly unknown[], token: string, example: string): void {
  if (targets.length > 0) return;
  throw new ConfigurationError(
    `${probe} has nothing to check: nothing is bound to ${token}. Call container.bind(${token}).toConstantValue(${example}).`,
  );
}
