import { setMaxListeners } from 'node:events';
import { ConfigurationError, describeError, isError } from '../../errors.js';
import type { ProbeContext } from '../../probe.js';

/**
 * Checks all targets at the same time. Resolves when all have passed; rejects with the first failure, once the checks that still ran have been aborted and
 * have ended: the signal of a run that has failed is never aborted, and a silent target would hold its socket for ever.
 * At the abort of its own signal it names each target that has not passed until then.
 */
export async function checkTargets<T>(
  targets: Iterable<T>,
  { signal }: Pick<ProbeContext, 'signal'>,
  check: (target: T, context: Pick<ProbeContext, 'signal'>) => Promise<void>,
): Promise<void> {
  signal.throwIfAborted();
  // Made by hand: `AbortSignal.any` leaks for periodic probes (nodejs/node#54614).
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  const onAbort = () => controller.abort(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  const checks = Array.from(targets, (target) => check(target, controller));
  for (const one of checks) one.catch((error: unknown) => controller.abort(error));
  const outcomes = await Promise.allSettled(checks);
  signal.removeEventListener('abort', onAbort);
  const failures = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []));
  if (failures.length === 0) return;
  // What the others were aborted with is the first failure.
  if (!signal.aborted) throw controller.signal.reason;
  if (failures.length === 1) throw failures[0];
  throw new Error(`${String(failures.length)} of ${String(checks.length)} failed: ${describeAll(failures, signal)}`, {
    cause: signal.reason,
  });
}

/** Each with its cause, but for the abort that is behind all of them. */
export function describeAll(failures: readonly unknown[], { reason }: AbortSignal): string {
  return failures.map((failure) => (isError(failure) && failure.cause === reason ? failure.message : describeError(failure))).join('; ');
}

/** Fails the start of a probe to whose token nothing is bound: `@multiInject` gives an empty list and says nothing. */
export function requireTargets(probe: string, targets: readonly unknown[], token: string, example: string): void {
  if (targets.length > 0) return;
  throw new ConfigurationError(
    `${probe} has nothing to check: nothing is bound to ${token}. Call container.bind(${token}).toConstantValue(${example}).`,
  );
}
