import { EventEmitter } from 'node:events';
import { performance } from 'node:perf_hooks';
import { LIFECYCLE, resolveDefinition, type ProbeDefinition, type ResolvedDefinition } from './definition.js';
import { describeProbe, originOf, type ProbeDescription, type ProbeOrigin } from './description.js';
import { ConfigurationError, describeError, NotReady } from '../errors.js';
import { Lifecycle, type ShutdownProgress } from '../lifecycle/lifecycle.js';
import { resolveLogger, type FieldLogger, type ProbeLogger } from '../logger.js';
import { Monitor, type MonitorListener } from '../run/monitor.js';
import { RunObservers } from '../run/observers.js';
import { PROBE_KINDS, resolveProbeOptions, type ProbeKind } from '../probe.js';
import { hasSubscribers, publish, type ProbeObserver } from './observation.js';
import { OperatorLog } from './operator-log.js';
import { COMPLAINT_PAUSES_MS, Pace } from './pace.js';
import { reasonKeyOf } from './reason.js';
import { makeReport, passed, worseOf, type ProbeReport, type ProbeResult, type ReportStatus } from '../report/report.js';
import { runTogether, type Run, type RunSettings } from '../run/run.js';
import { startSchedule, type Schedule } from '../run/schedule.js';
import { checkArray, checkMilliseconds, checkOneOf, rejectUnknownOptions, show } from '../validation.js';

export interface RegistryOptions {
  /**
   * Time in milliseconds in which the report of a kind is there, whatever its checks do: 1 to 3,600,000, and no less than the longest `timeoutMs`.
   * @default 100 ms above the longest `timeoutMs` of the kind
   */
  deadlineMs?: number | undefined;
  /**
   * Where the lines go: one for each change of a probe's status and for each new reason while it fails, none for each request.
   * pino and winston get the fields of each line too. `false`: nowhere; events are emitted all the same.
   * @default the console's standard error
   */
  logger?: ProbeLogger | false | undefined;
}

export interface RunOptions {
  /** Names of probes that are left out. */
  exclude?: readonly string[] | undefined;
  /** Name of the only probe to run. */
  only?: string | undefined;
}

/** What is known of a kind without a run. */
export interface ProbeStatus {
  readonly kind: ProbeKind;
  /** The worst of its results; `unknown` if none fails and one has never been run. */
  readonly status: ReportStatus | 'unknown';
  /** In the order of registration, `lifecycle` first. */
  readonly results: readonly ProbeResult[];
  /** Names of the probes that have never been run. */
  readonly pending: readonly string[];
}

/** A probe went over from one status to another, has its first, or fails for a new reason. Reasons that differ in numbers, ports and times alone are one; those of `lifecycle` are compared word for word. */
export interface ProbeChange {
  readonly name: string;
  /** The kinds that it counts for. `lifecycle` has a status a kind. */
  readonly kinds: readonly ProbeKind[];
  readonly result: ProbeResult;
  /** The status before; undefined if this is the first. */
  readonly previous: ProbeResult['status'] | undefined;
  /** If it did not pass: why, for the operator. The public must not read it. */
  readonly reason: string | undefined;
}

/** The event loop was blocked, and turns again: told by the thread of `probeServer` or `probeHeartbeat` with `thread: true`. */
export interface EventLoopBlock {
  /** How long it was blocked, in milliseconds. It is never said to be longer than it was. */
  readonly durationMs: number;
  /** When it began, in milliseconds since 1970 UTC, by the system's clock. */
  readonly startedAt: number;
  /** What blocked it, in one line: `busyLoop (src/report.js:37:65)`. Undefined if that is not known. */
  readonly by: string | undefined;
  /** The frames of the stack, innermost first, with paths relative to the working directory. Empty if it is not known: no more than one is taken a minute. */
  readonly stack: readonly string[];
  /** Whether it was blocked inside a synchronous call, so that the stack is the one of its return. */
  readonly isLate: boolean;
}

export interface ProbeEvents {
  change: [ProbeChange];
  block: [EventLoopBlock];
  close: [];
  shutdown: [ShutdownProgress];
}

export const REGISTRY_OPTION_NAMES = ['deadlineMs', 'logger'] as const;

/** What messages call it, whoever makes it: `discoverProbes` hands its options on. */
const SUBJECT = 'the registry';

const NONE: readonly string[] = [];
const NO_MONITORS: readonly Monitor[] = [];

/** How far the default deadline lies above the longest timeout of a kind. */
const DEADLINE_MARGIN_MS = 100;

/**
 * The probes of one application. `discoverProbes` makes one from a container; made with `new` it has the probes that are registered.
 * It emits `change` for each change of a probe's status and for each new reason, `block` after each block of the event loop that a thread has seen, `shutdown` for each phase of a graceful shutdown, and `close`. A listener that throws or rejects is logged and harms nothing.
 */
export class ProbeRegistry extends EventEmitter<ProbeEvents> {
  /** The state of the application and its manual toggles. */
  readonly lifecycle: Lifecycle;
  /** @internal */
  readonly logger: FieldLogger;
  /** @internal Deactivates what the container of these probes has made, at the end of a shutdown. */
  deactivate: (() => Promise<void>) | undefined;
  /** @internal Who listens to its runs and answers: `observers.add(…)`. While nobody does, they cost nothing. */
  readonly observers = new RunObservers<ProbeObserver>(this, (error) => {
    if (!this.#complaints.take(performance.now())) return;
    this.logger.error(`what observes the probes failed: ${describeError(error)}`, { err: error });
  });
  /** @internal Called with each probe that is added or taken out. */
  readonly monitorListeners = new Set<(monitor: Monitor, isAdded: boolean) => void>();
  readonly #complaints = new Pace(COMPLAINT_PAUSES_MS);
  readonly #deadlineMs: number | undefined;
  readonly #monitors = new Map<string, Monitor>();
  readonly #origins = new WeakMap<Monitor, ProbeOrigin>();
  /** The lifecycle first. */
  readonly #byKind: Record<ProbeKind, readonly Monitor[]>;
  readonly #lifecycleByKind: Readonly<Partial<Record<ProbeKind, Monitor>>>;
  /** In startup only while the probes are being discovered: it would pass, since no startup probe is known. */
  readonly #startingLifecycle: Monitor;
  /** How a whole kind is run, until its probes change. */
  readonly #settings: Partial<Record<ProbeKind, RunSettings | undefined>> = {};
  /** The last run of each kind that has ended: it knows when each check passed. */
  readonly #lastRuns: Partial<Record<ProbeKind, Run<ProbeReport>>> = {};
  readonly #schedules = new Map<Monitor, Schedule>();
  readonly #log: OperatorLog;
  readonly #listener: MonitorListener = {
    onResult: (...told) => this.#onResult(...told),
    onLatePass: (monitor, durationMs) => this.#log.tellLatePass(monitor, durationMs),
    onOutside: (monitor, what) => this.#log.tellOutside(monitor, what),
  };
  #isClosed = false;

  constructor(options: RegistryOptions = {}) {
    super();
    // Each server and each metric listens: many are no leak.
    this.setMaxListeners(0);
    rejectUnknownOptions(SUBJECT, options, REGISTRY_OPTION_NAMES);
    if (options.deadlineMs !== undefined) checkMilliseconds(SUBJECT, 'deadlineMs', options.deadlineMs);
    this.#deadlineMs = options.deadlineMs;
    this.logger = resolveLogger(options.logger);
    this.lifecycle = new Lifecycle({
      logger: this.logger,
      pendingStartups: () => this.#pendingStartups().map(({ name }) => name),
      hasPendingStartups: () => this.#pendingStartups().length > 0,
      onToggle: () => this.#onToggle(),
    });
    this.#log = new OperatorLog(this.logger, this.lifecycle);
    const liveness = this.#monitorLifecycle('liveness');
    const readiness = this.#monitorLifecycle('readiness');
    this.#lifecycleByKind = { liveness, readiness };
    this.#startingLifecycle = this.#monitorLifecycle('startup');
    this.#byKind = { liveness: [liveness], readiness: [readiness], startup: [] };
  }

  /** Whether `close()` was called. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * Adds a probe, at any time. The function that it returns takes the probe out again, and may be called twice:
   * requests under way are answered without it, and its signal is aborted.
   * @throws ConfigurationError if the name is taken or not fit for a URL, a kind is unknown, or an option is out of its range.
   */
  register(definition: ProbeDefinition): () => void {
    const monitor = this.add(resolveDefinition(definition), originOf(undefined, ['register', definition]));
    return () => this.#remove(monitor);
  }

  /** @internal Beside the probe: where its options come from, and what it checks outside the process, where that is known. */
  add({ name, kinds, probe, options }: ResolvedDefinition, origin: ProbeOrigin, outside?: string): Monitor {
    const subject = `probe ${show(name)}`;
    if (this.#isClosed) throw new ConfigurationError(`The ${subject} cannot be registered: the registry is closed.`);
    if (this.#monitors.has(name)) {
      throw new ConfigurationError(`Two probes are named ${show(name)}. Give one of them another name: \`{ name: '${name}-2' }\`.`);
    }
    if (this.#deadlineMs !== undefined && options.timeoutMs > this.#deadlineMs) {
      throw new ConfigurationError(
        `\`timeoutMs\` of ${subject} is ${String(options.timeoutMs)}, longer than \`deadlineMs\`, ${String(this.#deadlineMs)}. Shorten the one or lengthen the other.`,
      );
    }
    const monitor = new Monitor(name, kinds, options, probe, this.#listener);
    this.#monitors.set(name, monitor);
    this.#origins.set(monitor, origin);
    for (const kind of kinds) this.#setMonitors(kind, [...this.#byKind[kind], monitor]);
    if (outside !== undefined) monitor.onOutside(outside);
    if (options.intervalMs > 0) this.#schedules.set(monitor, startSchedule(monitor, this.observers));
    for (const listener of this.monitorListeners) listener(monitor, true);
    return monitor;
  }

  #remove(monitor: Monitor): void {
    if (this.#monitors.get(monitor.name) !== monitor) return;
    this.#monitors.delete(monitor.name);
    this.#schedules.get(monitor)?.stop();
    this.#schedules.delete(monitor);
    for (const kind of monitor.kinds) {
      this.#setMonitors(
        kind,
        this.#byKind[kind].filter((other) => other !== monitor),
      );
    }
    monitor.remove(new NotReady('the probe was taken out'));
    this.#log.forget(monitor);
    this.observers.tell((observer) => observer.onRemove?.(monitor.name));
    for (const listener of this.monitorListeners) listener(monitor, false);
    // Readiness may have waited for it, if it was a startup probe.
    this.#onToggle();
  }

  /** A run under way keeps its own array. */
  #setMonitors(kind: ProbeKind, monitors: readonly Monitor[]): void {
    this.#byKind[kind] = monitors;
    this.#settings[kind] = undefined;
  }

  /** The probes as they are set up, in the order of registration, with what is known of each. It runs none of them. */
  list(): ProbeDescription[] {
    return Array.from(this.#monitors.values(), (monitor) => {
      const origin = this.#origins.get(monitor) ?? originOf(undefined);
      return describeProbe(monitor, origin, this.#lastResultOf(monitor));
    });
  }

  /** @internal */
  get monitors(): Iterable<Monitor> {
    return this.#monitors.values();
  }

  /** What is known of a kind without running anything: the last result of each of its probes. */
  status(kind: ProbeKind): ProbeStatus {
    checkOneOf('status()', 'kind', kind, PROBE_KINDS);
    const results: ProbeResult[] = [];
    const pending: string[] = [];
    for (const [{ name }, result] of this.lastResults(kind)) {
      if (result === undefined) pending.push(name);
      else results.push(result);
    }
    const worst = this.#isClosed && kind === 'readiness' ? 'fail' : results.reduce(worseOf, 'pass' as const);
    return { kind, status: worst !== 'fail' && pending.length > 0 ? 'unknown' : worst, results, pending };
  }

  /** @internal The last result of each probe of a kind, if it has one, in the order of registration. */
  lastResults(kind: ProbeKind): (readonly [Monitor, ProbeResult | undefined])[] {
    return this.#byKind[kind].map((monitor) => [
      monitor,
      (kind === 'startup' ? monitor.firstPass : undefined) ?? this.#lastResultOf(monitor),
    ]);
  }

  #lastResultOf(monitor: Monitor): ProbeResult | undefined {
    const { name, kinds } = monitor;
    let last = monitor.judged;
    let lastAt = monitor.judgedAt;
    for (const kind of kinds) {
      const pass = this.#lastRuns[kind]?.passOf(monitor);
      if (pass === undefined || pass.endedAt <= lastAt) continue;
      last = passed(name, pass.endedAt - pass.startedAt, pass.time, undefined);
      lastAt = pass.endedAt;
    }
    return last;
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
  run(kind: ProbeKind, options?: RunOptions): Promise<ProbeReport> {
    // Not async: that would cost as much as ten trivial checks.
    try {
      checkOneOf('run()', 'kind', kind, PROBE_KINDS);
      return options === undefined ? runTogether(this.#settingsOf(kind), this.#report) : this.#runSome(kind, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Aborts what runs and lets nothing begin any more. Every probe fails from now on, and readiness as a whole.
   * What has nothing left to run still passes: liveness without probes of its own, and startup once every startup probe has passed.
   * Nothing of the registry keeps the process alive then.
   */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#log.close();
    const reason = new NotReady('the registry is closed');
    for (const schedule of this.#schedules.values()) schedule.stop();
    // First: a run that ends with its last check still asks the lifecycle.
    this.#lifecycleByKind.readiness?.close(reason);
    for (const monitor of this.#monitors.values()) monitor.close(reason);
    this.announce('close');
  }

  #runSome(kind: ProbeKind, { exclude = NONE, only }: RunOptions): Promise<ProbeReport> {
    checkArray('`exclude` of run()', exclude);
    const deadlineMs = this.deadlineOf(kind);
    if (only !== undefined) {
      if (!this.has(kind, only)) throw new ConfigurationError(`No ${kind} probe is named ${show(only)}.`);
      const monitors = this.#byKind[kind].filter(({ name }) => name === only);
      const settings = { kind, monitors, deadlineMs, observers: this.observers };
      return runTogether<ProbeReport>(settings, (run) => makeReport(run, NONE));
    }
    // Readiness does not wait for startup probes if nobody asks the lifecycle.
    const settings = exclude.includes(LIFECYCLE)
      ? { kind, monitors: this.#byKind[kind], deadlineMs, observers: this.observers }
      : this.#settingsOf(kind);
    const unknownExcludes = [...new Set(exclude)].filter((name) => !this.has(kind, name));
    return runTogether<ProbeReport>({ ...settings, exclude }, (run) => makeReport(run, unknownExcludes));
  }

  readonly #report = (run: Run<ProbeReport>): ProbeReport => {
    this.#lastRuns[run.kind] = run;
    return makeReport(run, NONE);
  };

  /** What the kubelet asks for. The lifecycle comes last, so that a toggle that is turned while the checks run counts for this answer too. */
  #settingsOf(kind: ProbeKind): RunSettings {
    const settings = (this.#settings[kind] ??= {
      kind,
      monitors: this.#byKind[kind],
      last: this.#lifecycleByKind[kind],
      deadlineMs: this.deadlineOf(kind),
      observers: this.observers,
    });
    if (kind === 'startup' && this.lifecycle.isBeingStarted) {
      const last = this.#startingLifecycle;
      return { ...settings, monitors: [last, ...settings.monitors], last };
    }
    const startups = kind === 'readiness' ? this.#pendingStartups() : NO_MONITORS;
    if (startups.length === 0) return settings;
    return { ...settings, unreported: startups.filter((monitor) => !monitor.kinds.includes(kind)) };
  }

  #pendingStartups(): readonly Monitor[] {
    const startups = this.#byKind.startup;
    // Asked twice a readiness, and most applications have none.
    return startups.length === 0 ? startups : startups.filter(({ firstPass, options }) => firstPass === undefined && options.critical);
  }

  /** @internal In how many milliseconds the report of a kind is there at the latest. */
  deadlineOf(kind: ProbeKind): number {
    if (this.#deadlineMs !== undefined) return this.#deadlineMs;
    const timeouts = this.#byKind[kind].filter(({ name }) => name !== LIFECYCLE).map(({ timeoutMs }) => timeoutMs);
    return Math.max(0, ...timeouts) + DEADLINE_MARGIN_MS;
  }

  #monitorLifecycle(kind: ProbeKind): Monitor {
    return new Monitor(LIFECYCLE, [kind], resolveProbeOptions(LIFECYCLE, {}), this.lifecycle, this.#listener, false);
  }

  /** Says the change now and not at the next request. */
  #onToggle(): void {
    for (const kind of PROBE_KINDS) {
      const lifecycle = this.#lifecycleByKind[kind];
      if (lifecycle !== undefined) void runTogether({ kind, monitors: [lifecycle], deadlineMs: this.deadlineOf(kind) }, () => {});
    }
  }

  #onResult(monitor: Monitor, result: ProbeResult, previous: ProbeResult | undefined, outcome: ProbeResult): void {
    this.#log.noteResult(monitor, result, previous, outcome);
    if (result.status === previous?.status && !isNewReason(result, previous)) return;
    const { name, kinds } = monitor;
    this.announce('change', { name, kinds, result, previous: previous?.status, reason: result.failure?.detail });
  }

  /** @internal A probe was answered over HTTP. */
  noteAnswer(kind: ProbeKind, probe: string | undefined, code: number): void {
    if (this.observers.isEmpty && !hasSubscribers('answer')) return;
    const answer = { kind, probe, code };
    this.observers.tell((observer) => observer.onAnswer?.(answer));
    publish('answer', this, answer);
  }

  /** @internal The event loop turns again. */
  noteBlock(block: EventLoopBlock): void {
    this.observers.tell((observer) => observer.onBlock?.(block.durationMs));
    this.announce('block', block);
  }

  /** @internal Each listener for itself: one that throws or rejects keeps no other from hearing of it. */
  announce<Name extends keyof ProbeEvents>(name: Name, ...payload: ProbeEvents[Name]): void {
    publish(name, this, payload[0]);
    const complain = (error: unknown) => this.logger.error(`a listener for "${name}" failed: ${describeError(error)}`, { err: error });
    for (const listener of this.rawListeners(name) as ((...event: ProbeEvents[Name]) => unknown)[]) {
      try {
        Promise.resolve(listener.apply(this, payload)).catch(complain);
      } catch (error) {
        complain(error);
      }
    }
  }
}

/** Each reason of the lifecycle was chosen: draining says more than maintenance. */
function isNewReason(result: ProbeResult, previous: ProbeResult): boolean {
  if (result.failure?.detail === previous.failure?.detail) return false;
  return result.name === LIFECYCLE || reasonKeyOf(result) !== reasonKeyOf(previous);
}
