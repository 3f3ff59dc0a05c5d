import { checkMilliseconds, rejectUnknownOptions } from './validation.js';

/** The three questions that Kubernetes asks of a container. */
export const PROBE_KINDS = ['liveness', 'readiness', 'startup'] as const;

/** `liveness`: restart me when this fails; `readiness`: send me requests while this passes; `startup`: I am up once this has passed. */
export type ProbeKind = (typeof PROBE_KINDS)[number];

/** What a check is told of its run. */
export interface ProbeContext {
  /** The kind of the request that began the run. Requests that join it while it is in flight may be of another kind. */
  readonly kind: ProbeKind;
  /** Aborted when the run's time is over, with a `ProbeTimeoutError`, and when the registry is closed. Hand it on to `fetch` and the like. Made when it is first asked for. */
  readonly signal: AbortSignal;
}

/** One check of the application or of something that it depends on. */
export interface Probe {
  /**
   * Passes by returning or resolving; a plain object of strings, numbers and booleans becomes data of the JSON body.
   * Fails by throwing, rejecting, giving `false` or an `Error`, or by not answering in time.
   */
  check(context: ProbeContext): unknown;
}

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
}

/** `ProbeOptions` without the name, every default filled in. */
export interface ResolvedProbeOptions {
  readonly timeoutMs: number;
}

const DEFAULTS: Readonly<ResolvedProbeOptions> = Object.freeze({
  timeoutMs: 800,
});

const OPTION_NAMES: readonly string[] = ['name', ...Object.keys(DEFAULTS)];

/** Fills the defaults in. `subject` is what a message calls the options: a class or a probe. */
export function resolveProbeOptions(subject: string, options: ProbeOptions): ResolvedProbeOptions {
  rejectUnknownOptions(subject, options, OPTION_NAMES);
  const timeoutMs = options.timeoutMs ?? DEFAULTS.timeoutMs;
  checkMilliseconds(subject, 'timeoutMs', timeoutMs);
  return { timeoutMs };
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
