import { EventEmitter } from 'node:events';
import { ConfigurationError, describeError } from './errors.js';
import { Execution } from './execution.js';
import { Lifecycle } from './lifecycle.js';
import { resolveLogger, type ProbeLogger } from './logger.js';
import { Monitor } from './monitor.js';
import { PROBE_KINDS, resolveProbeOptions, type Probe, type ProbeKind, type ProbeOptions } from './probe.js';
import { makeReport, type ProbeReport, type ProbeResult } from './report.js';
import { runTogether } from './run.js';
import { checkArray, checkMilliseconds, checkName, checkOneOf, rejectUnknownOptions, show } from './validation.js';

export interface RegistryOptions {
  /**
   * Time in milliseconds in which the report of a kind is there, whatever its checks do: 1 to 3,600,000, and no less than the longest `timeoutMs`.
   * @default 100 ms above the longest `timeoutMs` of the kind
   */
  deadlineMs?: number | undefined;
  /**
   * Where the lines go: one for each change of a probe's status, none for each request. `false`: nowhere.
   * @default the console's standard error
   */
  logger?: ProbeLogger | false | undefined;
}

/** A probe without a class. */
export interface ProbeDefinition extends ProbeOptions {
  name: string;
  /** One or more of `liveness`, `readiness` and `startup`. */
  kinds: readonly ProbeKind[];
  check: Probe['check'];
}

export interface RunOptions {
  /** Names of probes that are left out. */
  exclude?: Iterable<string> | undefined;
  /** Name of the only probe to run. */
  only?: string | undefined;
}

/** A probe went over from one status to another, or has its first. */
export interface ProbeChange {
  readonly name: string;
  /** The kinds that it counts for. `lifecycle` has a status a kind. */
  readonly kinds: readonly ProbeKind[];
  readonly result: ProbeResult;
  readonly previous: ProbeResult | undefined;
}

export interface ProbeEvents {
  change: [ProbeChange];
  close: [];
}

export const REGISTRY_OPTION_NAMES = ['deadlineMs', 'logger'] as const;

const LIFECYCLE = 'lifecycle';

/** How far the default deadline lies above the longest timeout of a kind. */
const DEADLINE_MARGIN_MS = 100;

/**
 * The probes of one application. `discoverProbes` makes one from a container; made with `new` it has the probes that are registered.
 * It emits `change` for each change of a probe's status, and `close`.
 */
export class ProbeRegistry extends EventEmitter<ProbeEvents> {
  /** The state of the application and its manual toggles. */
  readonly lifecycle: Lifecycle;
  /** @internal */
  readonly logger: ProbeLogger;
  readonly #deadlineMs: number | undefined;
  readonly #monitors = new Map<string, Monitor>();
  readonly #byKind: Readonly<Record<ProbeKind, Monitor[]>> = { liveness: [], readiness: [], startup: [] };
  readonly #longestTimeoutMs: Record<ProbeKind, number> = { liveness: 0, readiness: 0, startup: 0 };
  readonly #lifecycleByKind: Readonly<Partial<Record<ProbeKind, Monitor>>>;
  #isClosed = false;

  constructor(options: RegistryOptions = {}) {
    super();
    rejectUnknownOptions('ProbeRegistry', options, REGISTRY_OPTION_NAMES);
    if (options.deadlineMs !== undefined) checkMilliseconds('ProbeRegistry', 'deadlineMs', options.deadlineMs);
    this.#deadlineMs = options.deadlineMs;
    this.logger = resolveLogger(options.logger);
    this.lifecycle = new Lifecycle({
      logger: this.logger,
      pendingStartups: () => this.#pendingStartups().map(({ name }) => name),
      onToggle: () => this.#onToggle(),
    });
    this.#lifecycleByKind = { liveness: this.#monitorLifecycle('liveness'), readiness: this.#monitorLifecycle('readiness') };
  }

  /**
   * Adds a probe, at any time.
   * @throws ConfigurationError where the name is taken or not fit for a URL, a kind is unknown, or an option is out of its range.
   */
  register({ name, kinds, check, ...options }: ProbeDefinition): void {
    checkName('a probe', name);
    const subject = `probe ${show(name)}`;
    if (this.#isClosed) throw new ConfigurationError(`The ${subject} cannot be registered: the registry is closed.`);
    if (name === LIFECYCLE)
      throw new ConfigurationError(`The name "${LIFECYCLE}" is taken by the library's own check. Name the probe otherwise.`);
    if (this.#monitors.has(name))
      throw new ConfigurationError(`Two probes are named ${show(name)}. Give one of them another name: \`{ name: '${name}-2' }\`.`);
    checkArray(`\`kinds\` of ${subject}`, kinds);
    if (kinds.length === 0)
      throw new ConfigurationError(`Expected \`kinds\` of ${subject} to have one or more of ${PROBE_KINDS.map(show).join(', ')}.`);
    for (const kind of kinds) checkOneOf(subject, 'kinds', kind, PROBE_KINDS);
    if (typeof check !== 'function') throw new ConfigurationError(`Expected \`check\` of ${subject} to be a function, got ${show(check)}.`);
    const resolved = resolveProbeOptions(subject, options);
    if (this.#deadlineMs !== undefined && resolved.timeoutMs > this.#deadlineMs) {
      throw new ConfigurationError(
        `\`timeoutMs\` of ${subject} is ${String(resolved.timeoutMs)}, longer than \`deadlineMs\`, ${String(this.#deadlineMs)}. Shorten the one or lengthen the other.`,
      );
    }
    const monitor = new Monitor(name, [...new Set(kinds)], resolved, { check }, this.#onStatus);
    this.#monitors.set(name, monitor);
    for (const kind of monitor.kinds) {
      this.#byKind[kind].push(monitor);
      this.#longestTimeoutMs[kind] = Math.max(this.#longestTimeoutMs[kind], resolved.timeoutMs);
    }
  }

  /** Whether a probe of that kind has that name. */
  has(kind: ProbeKind, name: string): boolean {
    if (name === LIFECYCLE) return this.#lifecycleByKind[kind] !== undefined;
    return this.#monitors.get(name)?.kinds.includes(kind) ?? false;
  }

  /**
   * Runs the probes of a kind, all together, and resolves to their report at the latest when the deadline is over. It does not reject for anything that a probe does.
   * A check that is in flight already is joined and not run a second time.
   * A startup probe that has passed is not run again. While starting, readiness runs the startup probes that have not.
   */
  async run(kind: ProbeKind, options: RunOptions = {}): Promise<ProbeReport> {
    checkOneOf('run()', 'kind', kind, PROBE_KINDS);
    if (options.only !== undefined) return this.#runOne(kind, options.only);
    return this.#runAll(kind, new Set(options.exclude));
  }

  /** Aborts what runs and lets nothing begin any more: every probe fails from now on. Nothing of the registry keeps the process alive then. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const reason = new Error('the registry is closed');
    for (const monitor of this.#monitors.values()) monitor.close(reason);
    this.emit('close');
  }

  #runOne(kind: ProbeKind, name: string): Promise<ProbeReport> {
    if (!this.has(kind, name)) throw new ConfigurationError(`No ${kind} probe is named ${show(name)}.`);
    const lifecycle = name === LIFECYCLE ? this.#lifecycleByKind[kind] : undefined;
    const entries = lifecycle === undefined ? this.#entriesOf(kind).filter((entry) => entry.name === name) : [];
    return runTogether(entries, kind, this.#deadlineOf(kind), (results) => {
      return makeReport(kind, lifecycle === undefined ? results : [runLifecycle(lifecycle, kind)], []);
    });
  }

  #runAll(kind: ProbeKind, exclude: ReadonlySet<string>): Promise<ProbeReport> {
    const lifecycle = this.#lifecycleByKind[kind];
    const own = this.#entriesOf(kind).map((entry) => (exclude.has(entry.name) ? leaveOut(entry.name) : entry));
    const awaited =
      kind === 'readiness' && !exclude.has(LIFECYCLE) ? this.#pendingStartups().filter((monitor) => !monitor.kinds.includes(kind)) : [];
    return runTogether([...own, ...awaited], kind, this.#deadlineOf(kind), (results) => {
      const shown = results.slice(0, own.length);
      // Last of all, so that a toggle that is turned while the checks run counts for this answer too.
      if (lifecycle !== undefined) shown.unshift(exclude.has(LIFECYCLE) ? leaveOut(LIFECYCLE) : runLifecycle(lifecycle, kind));
      return makeReport(
        kind,
        shown,
        [...exclude].filter((name) => !this.has(kind, name)),
      );
    });
  }

  #entriesOf(kind: ProbeKind): (Monitor | ProbeResult)[] {
    const monitors = this.#byKind[kind];
    return kind === 'startup' ? monitors.map((monitor) => monitor.firstPass ?? monitor) : monitors;
  }

  #pendingStartups(): Monitor[] {
    return this.#byKind.startup.filter((monitor) => monitor.firstPass === undefined);
  }

  #deadlineOf(kind: ProbeKind): number {
    return this.#deadlineMs ?? this.#longestTimeoutMs[kind] + DEADLINE_MARGIN_MS;
  }

  #monitorLifecycle(kind: ProbeKind): Monitor {
    return new Monitor(LIFECYCLE, [kind], resolveProbeOptions(LIFECYCLE, {}), this.lifecycle, this.#onStatus);
  }

  /** Says the change now and not at the next request. */
  #onToggle(): void {
    for (const kind of PROBE_KINDS) this.#lifecycleByKind[kind]?.join(kind, performance.now());
  }

  readonly #onStatus = (monitor: Monitor, result: ProbeResult, previous: ProbeResult | undefined): void => {
    const subject = `${monitor.kinds.join(' and ')} probe ${monitor.name}`;
    if (result.status === 'fail') this.logger.warn(`${subject} failed: ${describeError(result.error)}`);
    else if (previous !== undefined) this.logger.info(`${subject} passes again`);
    try {
      this.emit('change', { name: monitor.name, kinds: monitor.kinds, result, previous });
    } catch (error) {
      this.logger.error(`a listener for "change" threw: ${describeError(error)}`);
    }
  };
}

/** The lifecycle answers synchronously: its run has its result when it has begun. */
function runLifecycle(lifecycle: Monitor, kind: ProbeKind): ProbeResult {
  const slot = lifecycle.join(kind, performance.now());
  const result = slot instanceof Execution ? slot.result : slot;
  if (result === undefined) throw new Error('The lifecycle check did not answer at once.');
  return result;
}

function leaveOut(name: string): ProbeResult {
  return { name, status: 'excluded', durationMs: 0, time: Date.now(), error: undefined, data: undefined };
}
