import { ConfigurationError } from './errors.js';
import { checkCount, checkMilliseconds, checkOneOf, rejectUnknownOptions } from './validation.js';

/** The three kinds of probes that Kubernetes knows. */
export const PROBE_KINDS = ['liveness', 'readiness', 'startup'] as const;

/**
 * - `liveness`: Kubernetes restarts the container if the probe fails.
 * - `readiness`: Kubernetes sends requests to the pod only while the probe passes.
 * - `startup`: the container counts as started once the probe has passed.
 */
export type ProbeKind = (typeof PROBE_KINDS)[number];

/** The argument of a check. It is valid only during the run, so do not keep a reference to it. */
export interface ProbeContext {
  /** The kind of the request that started the run. Requests that join the run while it is in flight can be of another kind. */
  readonly kind: ProbeKind;
  /**
   * Aborted with a `ProbeTimeoutError` when the run exceeds its timeout. Also aborted when the registry is closed.
   * Pass it on to `fetch()` and other calls that take a signal. The signal is created at the first access.
   */
  readonly signal: AbortSignal;
}

/** One check of the application or of a dependency. */
export interface Probe {
  /**
   * The check passes if it returns or resolves. It fails if it throws, rejects, returns `false` or an `Error`, or exceeds its timeout.
   * `throw new NotReady(message)` fails with a message that the public reads. `throw new Degraded(message)` warns: the HTTP status stays 200.
   *
   * If the check returns a plain object, its strings, numbers and booleans become data in the JSON body: at most 100 entries, and at most 1,000 characters of each string.
   * The check fails if that object reports a failure: `{ ok: false }`, `{ healthy: false }`, `{ status: 'down' }` and the like, in upper or lower case, also one level down.
   * It also fails if the object cannot be read because a getter throws. Any other value passes.
   */
  check(context: ProbeContext): unknown;
}

// oxlint-disable-next-line typescript/no-explicit-any -- only the class and its container know the arguments of the constructor
export type ProbeClass = new (...args: any[]) => Probe;

/** Options of one probe. All are optional. */
export interface ProbeOptions {
  /**
   * Name of the probe in responses, logs and settings. 1 to 100 letters, digits, `.`, `_` and `-`. Unique in its registry.
   * @default the class name without `Probe` in kebab case: `SearchIndexProbe` is `search-index`
   */
  name?: string | undefined;
  /**
   * Timeout of a run in milliseconds, 1 to 3,600,000. A run that exceeds it is reported as failed and abandoned.
   * Keep it below `timeoutSeconds` of the pod spec, which is 1 s by default.
   * @default 800
   */
  timeoutMs?: number | undefined;
  /**
   * Time in milliseconds after which a run that passes counts as degraded: the HTTP status stays 200, and the result is `warn`. At least 1 and less than `timeoutMs`. 0 turns it off.
   * A run of a probe with `slowMs` costs a little more.
   * @default 0
   */
  slowMs?: number | undefined;
  /**
   * Time in milliseconds for which later requests get the same result without a new run, 0 to 3,600,000. 0 turns the cache off.
   * Failures are cached as long as passes, so recovery is seen later by up to this time. `cacheMs` has no effect if `intervalMs` is set.
   * @default 0
   */
  cacheMs?: number | undefined;
  /**
   * Runs the check in the background: the time in milliseconds from the start of one run to the start of the next, 1 to 3,600,000. 0 turns background runs off.
   * Requests get the latest result at once. If that result is older than `intervalMs` plus `timeoutMs`, the request waits for a new run instead.
   * @default 0
   */
  intervalMs?: number | undefined;
  /**
   * How many runs in a row must fail before a probe that has passed counts as failed, 1 to 1,000. Until then the probe is degraded: the HTTP status stays 200, and the result is `warn`.
   * Before the first pass, every failure counts. Every run counts, no matter who requested it. If several clients request the probe, set `intervalMs` to make the pace predictable.
   * @default 1
   */
  failureThreshold?: number | undefined;
  /**
   * How many runs in a row must pass before a probe that has failed counts as passed, 1 to 1,000.
   * @default 1
   */
  successThreshold?: number | undefined;
  /**
   * If `false`, a failure only degrades the probe, even before its first pass: the HTTP status stays 200, and the result is `warn`.
   * Readiness does not wait for a startup probe that is not critical.
   * @default true
   */
  critical?: boolean | undefined;
  /**
   * Set this to `true` to confirm that a liveness probe may check a dependency outside the process. An outage of that dependency then restarts every pod.
   * Without it, such a probe logs a warning at start.
   * @default false
   */
  restartOnOutage?: boolean | undefined;
}

/** `ProbeOptions` without the name and with every default filled in. */
export type ResolvedProbeOptions = { readonly [Name in keyof Omit<ProbeOptions, 'name'>]-?: NonNullable<ProbeOptions[Name]> };

const DEFAULTS: Readonly<ResolvedProbeOptions> = Object.freeze({
  timeoutMs: 800,
  slowMs: 0,
  cacheMs: 0,
  intervalMs: 0,
  failureThreshold: 1,
  successThreshold: 1,
  critical: true,
  restartOnOutage: false,
});

export const PROBE_OPTION_NAMES: readonly string[] = ['name', ...Object.keys(DEFAULTS)];

/** Validates the options and fills in the defaults. `subject` is what an error message calls the owner of the options. */
export function resolveProbeOptions(subject: string, options: ProbeOptions): ResolvedProbeOptions {
  rejectUnknownOptions(subject, options, PROBE_OPTION_NAMES);
  const resolved: ResolvedProbeOptions = {
    timeoutMs: options.timeoutMs ?? DEFAULTS.timeoutMs,
    slowMs: options.slowMs ?? DEFAULTS.slowMs,
    cacheMs: options.cacheMs ?? DEFAULTS.cacheMs,
    intervalMs: options.intervalMs ?? DEFAULTS.intervalMs,
    failureThreshold: options.failureThreshold ?? DEFAULTS.failureThreshold,
    successThreshold: options.successThreshold ?? DEFAULTS.successThreshold,
    critical: options.critical ?? DEFAULTS.critical,
    restartOnOutage: options.restartOnOutage ?? DEFAULTS.restartOnOutage,
  };
  checkMilliseconds(subject, 'timeoutMs', resolved.timeoutMs);
  if (resolved.slowMs !== 0) checkMilliseconds(subject, 'slowMs', resolved.slowMs);
  if (resolved.slowMs >= resolved.timeoutMs) {
    throw new ConfigurationError(
      `\`slowMs\` of ${subject} is ${String(resolved.slowMs)}, but its \`timeoutMs\` is ${String(resolved.timeoutMs)}: a run times out before it counts as slow. Lower \`slowMs\`.`,
    );
  }
  if (resolved.cacheMs !== 0) checkMilliseconds(subject, 'cacheMs', resolved.cacheMs);
  if (resolved.intervalMs !== 0) checkMilliseconds(subject, 'intervalMs', resolved.intervalMs);
  checkCount(subject, 'failureThreshold', resolved.failureThreshold);
  checkCount(subject, 'successThreshold', resolved.successThreshold);
  checkOneOf(subject, 'critical', resolved.critical, [true, false]);
  checkOneOf(subject, 'restartOnOutage', resolved.restartOnOutage, [true, false]);
  return resolved;
}

/** Returns `base` with the options of `over` on top. An option that is `undefined`, for example from an unset environment variable, changes nothing. */
export function overlayOptions(base: ProbeOptions, over: ProbeOptions): ProbeOptions {
  return { ...base, ...Object.fromEntries(Object.entries(over).filter(([, value]) => value !== undefined)) };
}

/** Returns the name of a probe whose decorator gives none. */
export function nameOfClass(className: string): string {
  const wordBoundary = /(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/g;
  return className
    .replace(/Probe$/, '')
    .replace(wordBoundary, '-')
    .toLowerCase();
}
