import { ConfigurationError } from './errors.js';
import { checkCount, checkMilliseconds, checkOneOf, rejectUnknownOptions } from './validation.js';

/** The three questions that Kubernetes asks of a container. */
export const PROBE_KINDS = ['liveness', 'readiness', 'startup'] as const;

/** `liveness`: restart me when this fails; `readiness`: send me requests while this passes; `startup`: I am up once this has passed. */
export type ProbeKind = (typeof PROBE_KINDS)[number];

/** What a check is told of its run. It is good for as long as that lasts: do not keep it. */
export interface ProbeContext {
  /** The kind of the request that began the run. Requests that join it while it is in flight may be of another kind. */
  readonly kind: ProbeKind;
  /** Aborted when the run times out, with a `ProbeTimeoutError`, and when the registry is closed. Hand it on to `fetch` and the like. Made when it is first asked for. */
  readonly signal: AbortSignal;
}

/** One check of the application or of something that it depends on. */
export interface Probe {
  /**
   * Passes by returning or resolving. Fails by throwing, rejecting, returning `false` or an `Error`, or by not answering in time.
   * `throw new NotReady(message)` fails with a message for the public; `throw new Degraded(message)` warns, and the answer stays 200.
   *
   * The strings, numbers and booleans of a plain object become data of the JSON body: 100 entries at most, and 1,000 characters of each text.
   * A plain object that says that it failed fails the check: `{ ok: false }`, `{ healthy: false }`, `{ status: 'down' }` and the like, in any case, also one level down.
   * So does an object that cannot be read, because a getter throws. Any other value passes.
   */
  check(context: ProbeContext): unknown;
}

// oxlint-disable-next-line typescript/no-explicit-any -- what a constructor takes is between the class and its container
export type ProbeClass = new (...args: any[]) => Probe;

/** Options of one probe. All are optional. */
export interface ProbeOptions {
  /**
   * Name in answers, logs and settings: letters, digits, `.`, `_` and `-`, 100 at most, unique in its registry.
   * @default the class name without `Probe` in kebab case: `SearchIndexProbe` is `search-index`
   */
  name?: string | undefined;
  /**
   * Time in milliseconds after which a run is answered as failed, and abandoned: 1 to 3,600,000.
   * Keep it below `timeoutSeconds` of the pod spec, which is 1 s by default.
   * @default 800
   */
  timeoutMs?: number | undefined;
  /**
   * Time in milliseconds after which a run that passes is degraded: the answer stays 200, with the status `warn`. 1 to less than `timeoutMs`, or 0 for none.
   * A probe with `slowMs` costs a little more per run.
   * @default 0
   */
  slowMs?: number | undefined;
  /**
   * Time in milliseconds for which a result is given to later requests without a new run: 0 to 3,600,000.
   * A failure is kept as long as a pass, so recovery is seen that much later. Without effect beside `intervalMs`.
   * @default 0
   */
  cacheMs?: number | undefined;
  /**
   * Time in milliseconds between the begins of two runs in the background: 1 to 3,600,000, or 0 for none. Requests get the latest result at once.
   * One that is older than `intervalMs` and `timeoutMs` together is never given: the request waits for a new run instead.
   * @default 0
   */
  intervalMs?: number | undefined;
  /**
   * How many runs in a row must fail before a probe that has passed counts as failed, 1 to 1,000. Fewer degrade it: the answer stays 200, with the status `warn`.
   * Before its first pass every failure counts. Runs are counted, whoever asks for them: with several askers, let `intervalMs` set the pace.
   * @default 1
   */
  failureThreshold?: number | undefined;
  /**
   * How many runs in a row must pass before a probe that has failed counts as passed, 1 to 1,000.
   * @default 1
   */
  successThreshold?: number | undefined;
  /**
   * `false`: a failure degrades and does not fail, before the first pass too. The answer stays 200, with the status `warn`.
   * Readiness does not wait for a startup probe that is not critical.
   * @default true
   */
  critical?: boolean | undefined;
  /**
   * `true`: says that you want it so where a liveness probe checks something outside the process, whose outage then restarts every pod. Without it, a warning at start.
   * @default false
   */
  restartOnOutage?: boolean | undefined;
}

/** `ProbeOptions` without the name, every default filled in. */
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

/** Fills the defaults in. `subject` is what a message calls the options: a class or a probe. */
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
      `\`slowMs\` of ${subject} is ${String(resolved.slowMs)}, and its \`timeoutMs\` is ${String(resolved.timeoutMs)}: a run fails before it can be slow. Lower \`slowMs\`.`,
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

/** `base` with the options of `over` that are given: one that is `undefined` (an unset environment variable, say) changes nothing. */
export function overlayOptions(base: ProbeOptions, over: ProbeOptions): ProbeOptions {
  return { ...base, ...Object.fromEntries(Object.entries(over).filter(([, value]) => value !== undefined)) };
}

/** The name that a probe has in answers where its decorator gives none. */
export function nameOfClass(className: string): string {
  const wordBoundary = /(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/g;
  return className
    .replace(/Probe$/, '')
    .replace(wordBoundary, '-')
    .toLowerCase();
}
