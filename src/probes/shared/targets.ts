import { setMaxListeners } from 'node:events';
import { ConfigurationError, Degraded, describeError, isError } from '../../errors.js';
import type { ProbeContext } from '../../probe.js';
import type { Quorum } from './quorum.js';

/**
 * Checks all targets at the same time. Resolves when all have passed, or as many as the quorum needs; rejects as soon as too many have failed, and with `Degraded` if those that are degraded make up the number. By then the
 * checks that still ran have been aborted and have ended: the signal of a run that is over is never aborted, and a silent target would hold its socket for ever.
 * At the abort of its own signal it names each target that has not passed until then.
 */
export async function checkTargets<T>(
  targets: Iterable<T>,
  { signal }: Pick<ProbeContext, 'signal'>,
  check: (target: T, context: Pick<ProbeContext, 'signal'>) => Promise<void>,
  quorum?: Quorum,
): Promise<void> {
  signal.throwIfAborted();
  // Made by hand: `AbortSignal.any` leaks for periodic probes (nodejs/node#54614).
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  const onAbort = () => controller.abort(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  const checks = Array.from(targets, (target) => check(target, controller));
  const needed = quorum?.needed ?? checks.length;
  const failures: unknown[] = [];
  const degraded: Degraded[] = [];
  let passed = 0;
  let isDecided = false;
  const decide = (reason?: unknown) => {
    isDecided = true;
    controller.abort(reason);
  };
  const onPass = () => {
    passed += 1;
    if (passed === needed) decide();
  };
  const onFailure = (error: unknown) => {
    // What fails after the decision was aborted by it.
    if (isDecided && !signal.aborted) return;
    if (Degraded.is(error)) {
      degraded.push(error);
      return;
    }
    failures.push(error);
    if (checks.length - failures.length < needed) decide(error);
  };
  await Promise.all(checks.map((one) => one.then(onPass, onFailure)));
  signal.removeEventListener('abort', onAbort);
  if (passed >= needed) return;
  // What is degraded works, if too few are better.
  throw passed + degraded.length >= needed ? combineDegraded(degraded) : combine(failures, checks.length, signal, quorum);
}

/** The causes, which name the servers, are for the log alone. */
export function combineDegraded(degraded: readonly Degraded[]): Degraded {
  const [first, second] = degraded;
  if (first !== undefined && second === undefined) return first;
  const cause = new Error(degraded.map(({ cause: server }) => describeError(server)).join('; '));
  return new Degraded(degraded.map(({ message }) => message).join('; '), { cause });
}

function combine(failures: readonly unknown[], total: number, signal: AbortSignal, quorum: Quorum | undefined): unknown {
  if (quorum === undefined && failures.length === 1) return failures[0];
  const counts = `${String(failures.length)} of ${String(total)}`;
  const what = quorum === undefined ? 'failed' : `${quorum.noun} failed, ${String(quorum.needed)} must answer`;
  return new Error(`${counts} ${what}: ${describeAll(failures, signal)}`, signal.aborted ? { cause: signal.reason } : {});
}

/** Each with its cause, but for the abort that is behind all of them. */
export function describeAll(failures: readonly unknown[], { reason }: AbortSignal): string {
  return failures.map((failure) => (isError(failure) && failure.cause === reason ? failure.message : describeError(failure))).join('; ');
}

/** Fails the start of a probe to whose token nothing is bound: `@multiInject` gives an empty list and says nothing. */
export function requireTargets(probe: string, targets: readonly unknown[], token: string, example: string): void {
  if (targets.length > 0) return;
  const name = probe.replace(/Probe$/, '').toLowerCase();
  throw new ConfigurationError(
    `${probe} has nothing to check: nothing is bound to ${token}. Call container.bind(${token}).toConstantValue(${example}). The probe was added because its module was imported: leave it out with \`disabled: ['${name}']\`, or import the plain function from 'koa-probes/checks', which adds no probe.`,
  );
}
