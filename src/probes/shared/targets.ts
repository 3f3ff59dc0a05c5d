import { setMaxListeners } from 'node:events';
import { ConfigurationError, Degraded, describeError, isError } from '../../errors.js';
import type { ProbeContext } from '../../probe.js';
import type { Quorum } from './quorum.js';

/**
 * Checks all targets at the same time. It resolves when all of them, or as many as the quorum needs, have passed. It rejects as soon as too many have failed,
 * or with `Degraded` if the quorum is only reached together with degraded targets. If its own signal is aborted, the error names each target that has not passed by then.
 *
 * Before it settles, the checks that are still running are aborted and have ended. The signal of a finished run is never aborted, so a target that does not answer would otherwise keep its socket forever.
 */
export async function checkTargets<T>(
  targets: Iterable<T>,
  { signal }: Pick<ProbeContext, 'signal'>,
  check: (target: T, context: Pick<ProbeContext, 'signal'>) => Promise<void>,
  quorum?: Quorum,
): Promise<void> {
  signal.throwIfAborted();
  // `AbortSignal.any` is not used, because it leaks memory in periodic probes (nodejs/node#54614).
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
    // The decision has aborted the remaining checks, so their failures do not count.
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
  // If too few targets have passed, degraded ones count too.
  throw passed + degraded.length >= needed ? combineDegraded(degraded) : combine(failures, checks.length, signal, quorum);
}

/** The causes name the servers, so they go to the log only. */
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

/** Joins the failures with their causes, except for the abort, which is the cause of all of them. */
export function describeAll(failures: readonly unknown[], { reason }: AbortSignal): string {
  return failures.map((failure) => (isError(failure) && failure.cause === reason ? failure.message : describeError(failure))).join('; ');
}

/** Throws if nothing is bound to the token of a probe. `@multiInject` alone would inject an empty list. */
export function requireTargets(probe: string, targets: readonly unknown[], token: string, example: string): void {
  if (targets.length > 0) return;
  const name = probe.replace(/Probe$/, '').toLowerCase();
  throw new ConfigurationError(
    `${probe} has nothing to check: nothing is bound to ${token}. Bind a target, \`container.bind(${token}).toConstantValue(${example})\`, or leave the probe out with \`disabled: ['${name}']\`. The probe was added because its module was imported. Its plain function can be imported from 'koa-probes/checks', which adds no probe.`,
  );
}
