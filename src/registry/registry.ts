import { EventEmitter } from 'node:events';
import { performance } from 'node:perf_hooks';
import { LIFECYCLE, resolveDefinition, type ProbeDefinition, type ResolvedDefinition } from './definition.js';
import { isNewReason, type EventLoopBlock, type ProbeEvents } from './events.js';
import { describeProbe, originOf, type ProbeDescription, type ProbeOrigin } from './description.js';
import { ConfigurationError, describeError, NotReady } from '../errors.js';
import { Lifecycle } from '../lifecycle/lifecycle.js';
import { resolveLogger, type FieldLogger, type ProbeLogger } from '../logger.js';
import { Monitor, type MonitorListener } from '../run/monitor.js';
import { RunObservers } from '../run/observers.js';
import { PROBE_KINDS, resolveProbeOptions, type ProbeKind } from '../probe.js';
import { hasSubscribers, publish, type ProbeObserver } from './observation.js';
import { OperatorLog } from './operator-log.js';
import { COMPLAINT_PAUSES_MS, Pace } from './pace.js';
import { isInspected } from './inspection.js';
import { makeReport, passed, worseOf, type ProbeReport, type ProbeResult, type ReportStatus } from '../report/report.js';
import type { EndedRun } from '../run/ended-run.js';
import { RunPlan, runTogether } from '../run/run.js';
import { startSchedule, type Schedule } from '../run/schedule.js';
import { ServingNotes, type ProbeServing } from './serving.js';
import { checkArray, checkMilliseconds, checkOneOf, rejectUnknownOptions, show } from '../validation.js';

/** Options of a registry. All are optional. */
export interface RegistryOptions {
  /**
   * Deadline of a run in milliseconds, 1 to 3,600,000, and at least the longest `timeoutMs`. The report of a kind is ready by then, no matter what its checks do.
   * @default 100 ms above the longest `timeoutMs` of the kind
   */
  deadlineMs?: number | undefined;
  /**
   * The logger. It gets one line for each change of a probe's status and for each new reason while the probe fails, but none for each request.
   * A pino or winston logger also gets the structured fields of each line. `false` turns the log off. Events are emitted in any case.
   * @default the console, which writes to standard error
   */
  logger?: ProbeLogger | false | undefined;
}

/** Options of one run. All are optional. */
export interface RunOptions {
  /**
   * Names of probes to leave out of the run. Names that no probe has are reported as `unknownExcludes`.
   * @default []
   */
  exclude?: readonly string[] | undefined;
  /**
   * Name of the only probe to run.
   * @default all probes of the kind
   */
  only?: string | undefined;
}

/** The latest status of a kind, without a run. */
export interface ProbeStatus {
  readonly kind: ProbeKind;
  /** The worst status of its results. It is `unknown` if none fails and a probe has never been run. */
  readonly status: ReportStatus | 'unknown';
  /** The latest results in the order of registration. `lifecycle` comes first. */
  readonly results: readonly ProbeResult[];
  /** Names of the probes that have never been run. */
  readonly pending: readonly string[];
}

export const REGISTRY_OPTION_NAMES = ['deadlineMs', 'logger'] as const;

/** The name of a registry in messages. `discoverProbes` passes its options on, so a message must not name the constructor. */
const SUBJECT = 'the registry';

const NONE: readonly string[] = [];
const NO_MONITORS: readonly Monitor[] = [];

/** How much longer the default deadline is than the longest timeout of a kind. */
const DEADLINE_MARGIN_MS = 100;

/**
 * The probes of one application. `discoverProbes` creates one and fills it. A registry that is created with `new` has the probes that are registered.
 * It emits `change` for each change of a probe's status and for each new reason, `block` after each block of the event loop that a thread has seen, `shutdown` for each phase of a graceful shutdown, and `close`.
 * If a listener throws or rejects, the error is logged and nothing else happens.
 */
export class ProbeRegistry extends EventEmitter<ProbeEvents> {
  /** The state of the application and its manual toggles. */
  readonly lifecycle: Lifecycle;
  /** @internal */
  readonly logger: FieldLogger;
  /** @internal Deactivates the instances of the container at the end of a shutdown. */
  deactivate: (() => Promise<void>) | undefined;
  /** @internal The observers of its runs and HTTP responses. Add one with `observers.add(…)`. Without observers this costs nothing. */
  readonly observers = new RunObservers<ProbeObserver>(this, (error) => {
    if (!this.#complaints.take(performance.now())) return;
    this.logger.error(`an observer of the probes failed: ${describeError(error)}`, { err: error });
  });
  /** @internal */
  readonly servingNotes = new ServingNotes();
  /** @internal Called with each probe that is added or taken out. */
  readonly monitorListeners = new Set<(monitor: Monitor, isAdded: boolean) => void>();
  readonly #complaints = new Pace(COMPLAINT_PAUSES_MS);
  readonly #deadlineMs: number | undefined;
  readonly #monitors = new Map<string, Monitor>();
  readonly #origins = new WeakMap<Monitor, ProbeOrigin>();
  /** The monitors of each kind. The lifecycle comes first. */
  readonly #byKind: Record<ProbeKind, readonly Monitor[]>;
  readonly #lifecycleByKind: Readonly<Partial<Record<ProbeKind, Monitor>>>;
  /** Part of startup only during the discovery, because startup would pass while no startup probe is known. */
  readonly #startingLifecycle: Monitor;
  /** The plan for a run of each whole kind, until its probes change. */
  readonly #plans: Partial<Record<ProbeKind, RunPlan | undefined>> = {};
  /** The last run of each kind that has ended. It knows when each check passed. */
  readonly #lastRuns: Partial<Record<ProbeKind, EndedRun>> = {};
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
    // Each server and each metric adds a listener, so many listeners are not a leak.
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
   * Adds a probe. It can be called at any time.
   *
   * @returns a function that removes the probe. Requests in flight are answered without it, and its signal is aborted. Further calls have no effect.
   * @throws ConfigurationError if the name is already used or not valid, a kind is unknown, an option is unknown or out of range, or the registry is closed
   */
  register(definition: ProbeDefinition): () => void {
    const monitor = this.add(resolveDefinition(definition), originOf(undefined, ['register', definition]));
    return () => this.#remove(monitor);
  }

  /** @internal Adds a probe. `origin` says where its options come from, and `outside` what it checks outside the process, if that is known. */
  add({ name, kinds, probe, options }: ResolvedDefinition, origin: ProbeOrigin, outside?: string): Monitor {
    const subject = `probe ${show(name)}`;
    if (this.#isClosed) throw new ConfigurationError(`The ${subject} cannot be registered: the registry is closed.`);
    if (this.#monitors.has(name)) {
      throw new ConfigurationError(`Two probes are named ${show(name)}. Give one of them another name: \`{ name: '${name}-2' }\`.`);
    }
    if (this.#deadlineMs !== undefined && options.timeoutMs > this.#deadlineMs) {
      throw new ConfigurationError(
        `\`timeoutMs\` of ${subject} is ${String(options.timeoutMs)}, longer than \`deadlineMs\` of the registry (${String(this.#deadlineMs)}). Lower \`timeoutMs\` or raise \`deadlineMs\`.`,
      );
    }
    const monitor = new Monitor(name, kinds, options, probe, this.#listener);
    this.#monitors.set(name, monitor);
    this.#origins.set(monitor, origin);
    for (const kind of kinds) this.#setMonitors(kind, [...this.#byKind[kind], monitor]);
    if (outside !== undefined) monitor.onOutside(outside);
    if (options.intervalMs > 0 && !isInspected()) this.#schedules.set(monitor, startSchedule(monitor, this.observers));
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
    monitor.remove(new NotReady('the probe was removed'));
    this.#log.forget(monitor);
    this.observers.tell((observer) => observer.onRemove?.(monitor.name));
    for (const listener of this.monitorListeners) listener(monitor, false);
    // If it was a startup probe, readiness may have waited for it.
    this.#onToggle();
  }

  /** Replaces the array, because a run in flight uses the old one. */
  #setMonitors(kind: ProbeKind, monitors: readonly Monitor[]): void {
    this.#byKind[kind] = monitors;
    this.#plans[kind] = undefined;
  }

  /** Returns the configuration and the latest result of every probe, in the order of registration. It runs no probe. */
  list(): ProbeDescription[] {
    return Array.from(this.#monitors.values(), (monitor) => {
      const origin = this.#origins.get(monitor) ?? originOf(undefined);
      return describeProbe(monitor, origin, this.#lastResultOf(monitor));
    });
  }

  /** How the probes are answered and how the application shuts down: the settings of all calls of `probeMiddleware`, `probeRouter`, `probeView`, `probeServer`, `probeHeartbeat` and `gracefulShutdown`. */
  get serving(): ProbeServing {
    return this.servingNotes.read();
  }

  /** @internal */
  get monitors(): Iterable<Monitor> {
    return this.#monitors.values();
  }

  /** @internal Starts a run of one probe, even if there is a result already. Returns whether there is such a probe. */
  runNow(name: string): boolean {
    const monitor = this.#monitors.get(name);
    const kind = monitor?.kinds[0];
    if (monitor === undefined || kind === undefined) return false;
    const plan = new RunPlan({
      kind,
      monitors: [monitor],
      deadlineMs: this.deadlineOf(kind),
      acceptsLatest: false,
      observers: this.observers,
    });
    void runTogether(plan, () => {});
    return true;
  }

  /**
   * Returns the latest status of a kind, with the last result of each of its probes. It runs no probe.
   *
   * @throws ConfigurationError if the kind is unknown
   */
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

  /** Returns whether a probe of that kind has that name. */
  has(kind: ProbeKind, name: string): boolean {
    if (name === LIFECYCLE) return this.#lifecycleByKind[kind] !== undefined;
    return this.#monitors.get(name)?.kinds.includes(kind) ?? false;
  }

  /**
   * Runs the probes of a kind at the same time, and resolves to their report when the deadline is exceeded at the latest. It never rejects because of a probe.
   * A check that is already in flight is joined and not run a second time.
   * A startup probe that has passed does not run again. While the application is starting, a readiness run also runs the startup probes that have not passed.
   *
   * It rejects with a ConfigurationError if the kind or the name in `only` is unknown, or an option is invalid.
   */
  run(kind: ProbeKind, options?: RunOptions): Promise<ProbeReport> {
    // The function is not async, because that would cost as much as ten trivial checks.
    try {
      checkOneOf('run()', 'kind', kind, PROBE_KINDS);
      return options === undefined ? runTogether(this.#planOf(kind), this.#makeReport) : this.#runSome(kind, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Closes the registry: it aborts all runs and allows no new ones. From now on every probe fails, and readiness fails as a whole.
   * A kind that has nothing left to run still passes: liveness without probes, and startup once every startup probe has passed.
   * A closed registry does not keep the process alive. Further calls have no effect.
   */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#log.close();
    const reason = new NotReady('the registry is closed');
    for (const schedule of this.#schedules.values()) schedule.stop();
    // Close the lifecycle first, because a run that ends with its last check still runs the lifecycle.
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
      const plan = new RunPlan({ kind, monitors, deadlineMs, observers: this.observers });
      return runTogether<ProbeReport>(plan, (run) => makeReport(run, NONE));
    }
    // Readiness does not wait for startup probes if the lifecycle is excluded.
    const settings = exclude.includes(LIFECYCLE)
      ? { kind, monitors: this.#byKind[kind], deadlineMs, observers: this.observers }
      : this.#planOf(kind).settings;
    const unknownExcludes = [...new Set(exclude)].filter((name) => !this.has(kind, name));
    return runTogether<ProbeReport>(new RunPlan({ ...settings, exclude }), (run) => makeReport(run, unknownExcludes));
  }

  readonly #makeReport = (run: EndedRun): ProbeReport => {
    this.#lastRuns[run.kind] = run;
    return makeReport(run, NONE);
  };

  /** Returns the plan for a whole kind, as the kubelet requests it. The lifecycle runs last, so that a toggle that changes during the checks applies to this response too. */
  #planOf(kind: ProbeKind): RunPlan {
    const plan = (this.#plans[kind] ??= new RunPlan({
      kind,
      monitors: this.#byKind[kind],
      last: this.#lifecycleByKind[kind],
      deadlineMs: this.deadlineOf(kind),
      observers: this.observers,
    }));
    if (kind === 'startup' && this.lifecycle.isBeingStarted) {
      const last = this.#startingLifecycle;
      return new RunPlan({ ...plan.settings, monitors: [last, ...plan.settings.monitors], last });
    }
    const startups = kind === 'readiness' ? this.#pendingStartups() : NO_MONITORS;
    if (startups.length === 0) return plan;
    return new RunPlan({ ...plan.settings, unreported: startups.filter((monitor) => !monitor.kinds.includes(kind)) });
  }

  #pendingStartups(): readonly Monitor[] {
    const startups = this.#byKind.startup;
    // Return early: this is called twice per readiness run, and most applications have no startup probes.
    return startups.length === 0 ? startups : startups.filter(({ firstPass, options }) => firstPass === undefined && options.critical);
  }

  /** @internal Returns the deadline for the report of a kind, in milliseconds. */
  deadlineOf(kind: ProbeKind): number {
    if (this.#deadlineMs !== undefined) return this.#deadlineMs;
    const timeouts = this.#byKind[kind].filter(({ name }) => name !== LIFECYCLE).map(({ timeoutMs }) => timeoutMs);
    return Math.max(0, ...timeouts) + DEADLINE_MARGIN_MS;
  }

  #monitorLifecycle(kind: ProbeKind): Monitor {
    return new Monitor(LIFECYCLE, [kind], resolveProbeOptions(LIFECYCLE, {}), this.lifecycle, this.#listener, false, () =>
      this.lifecycle.hasNothingToSay(kind),
    );
  }

  /** Runs the lifecycle, so that a change is reported now and not at the next request. */
  #onToggle(): void {
    for (const kind of PROBE_KINDS) {
      const lifecycle = this.#lifecycleByKind[kind];
      if (lifecycle !== undefined)
        void runTogether(new RunPlan({ kind, monitors: [lifecycle], deadlineMs: this.deadlineOf(kind) }), () => {});
    }
  }

  #onResult(monitor: Monitor, result: ProbeResult, previous: ProbeResult | undefined, outcome: ProbeResult): void {
    this.#log.noteResult(monitor, result, previous, outcome);
    if (result.status === previous?.status && !isNewReason(result, previous)) return;
    const { name, kinds } = monitor;
    this.announce('change', { name, kinds, result, previous: previous?.status, reason: result.failure?.detail });
  }

  /** @internal Called when a probe was answered over HTTP. */
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

  /** @internal Emits an event. All listeners are called, even if one of them throws or rejects. */
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
