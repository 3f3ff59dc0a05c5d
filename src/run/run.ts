import { performance } from 'node:perf_hooks';
import { ProbeTimeoutError } from '../errors.js';
import type { ProbeKind } from '../probe.js';
import { excluded, failed, passed, worseOf, type ProbeResult, type ReportStatus } from '../report/report.js';
import { afterLastWords, type WaitingRun } from './execution.js';
import type { Monitor } from './monitor.js';
import type { RunObservers } from './observers.js';

/** Timers count in whole milliseconds, and may fire that much early on the clock of `performance.now()`. */
const EARLIEST_MS = 1;

const SETTLED = Promise.resolve();

export interface RunSettings {
  readonly kind: ProbeKind;
  /** In the order of their results. The array must not change later. */
  readonly monitors: readonly Monitor[];
  /** Names of the monitors that are reported as excluded and not run. */
  readonly exclude?: readonly string[];
  /** Probes that run along without being reported. */
  readonly unreported?: readonly Monitor[] | undefined;
  /** The one of the monitors that begins when all others are known. */
  readonly last?: Monitor | undefined;
  readonly deadlineMs: number;
  /** Whether a result that is there already will do. A schedule wants a new one. */
  readonly acceptsLatest?: boolean;
  /** Who may listen to the runs of these monitors. */
  readonly observers?: RunObservers | undefined;
}

/** When a check began and when it passed. Checks with the same times share one. */
export interface Pass {
  readonly startedAt: number;
  readonly endedAt: number;
  /** The end by the system's clock, in milliseconds since 1970 UTC. */
  readonly time: number;
}

/**
 * One run of several checks: starts all of them together, and calls `finish` as soon as all outcomes are known, at the latest after `deadlineMs`.
 * A check goes this way: `Run.start`, `Monitor.join`, `Execution.begin`, the check itself, `Monitor.judge`, and back here to `pass` or `take`.
 */
export class Run<T = unknown> implements WaitingRun {
  readonly kind: ProbeKind;
  readonly acceptsLatest: boolean;
  readonly observers: RunObservers | undefined;
  /** The worst that is reported. */
  status: ReportStatus = 'pass';
  readonly startedAt = performance.now();
  beginsAt = this.startedAt;
  armedAt = Infinity;
  /** By place. No array is made as long as all checks pass with the times of the first one, and `last` after them. */
  private outcomes: (Pass | ProbeResult | undefined)[] | undefined;
  private firstPass: Pass | undefined;
  private lastPass: Pass | undefined;
  private lastPlace = 0;
  /** Whether `last` has begun. */
  private isEnding = false;
  private pending: number;
  private last: Monitor | undefined;
  private timer: NodeJS.Timeout | undefined;
  /** The time in this turn of the microtask queue: reading the clock for each outcome costs as much as a trivial check. */
  private now: number | undefined;
  private isTurning = false;

  constructor(
    private readonly settings: RunSettings,
    private readonly finish: (run: Run<T>) => T,
    private readonly resolve: (answer: T) => void,
  ) {
    const { kind, monitors, unreported, last, acceptsLatest = true, observers } = settings;
    this.kind = kind;
    this.acceptsLatest = acceptsLatest;
    this.observers = observers?.isActive === true ? observers : undefined;
    // One more, for the loop that begins the checks: what ends meanwhile must not end the run.
    this.pending = monitors.length + (unreported?.length ?? 0) - (last === undefined ? 0 : 1) + 1;
    this.last = last;
  }

  start(): void {
    const { monitors, exclude, unreported } = this.settings;
    for (let place = 0; place < monitors.length; place += 1) {
      const monitor = monitors[place] as Monitor;
      if (monitor === this.last) this.lastPlace = place;
      else if (exclude?.includes(monitor.name) === true) this.take(place, excluded(monitor.name));
      else monitor.join(this, place);
    }
    if (unreported !== undefined) for (const [index, monitor] of unreported.entries()) monitor.join(this, monitors.length + index);
    this.pending -= 1;
    if (this.pending === 0) return this.end();
    this.now = undefined;
    this.turnSoon();
  }

  pass(place: number, startedAt: number): void {
    const endedAt = this.readClock();
    const first = this.firstPass;
    if (first === undefined || this.isEnding || startedAt !== first.startedAt || endedAt !== first.endedAt) {
      this.keepPass(place, startedAt, endedAt);
    }
    this.pending -= 1;
    if (this.pending === 0) this.end();
  }

  private keepPass(place: number, startedAt: number, endedAt: number): void {
    const first = this.firstPass;
    const pass = { startedAt, endedAt, time: endedAt === first?.endedAt ? first.time : Date.now() };
    if (this.isEnding) this.lastPass = pass;
    else if (first === undefined) this.firstPass = pass;
    else this.put(place, pass);
  }

  /** The pass of the probe in this run, if it has none but that. */
  passOf(monitor: Monitor): Pass | undefined {
    const place = this.settings.monitors.indexOf(monitor);
    const outcome = place === -1 ? undefined : this.outcomeAt(place);
    return outcome === undefined || 'name' in outcome ? undefined : outcome;
  }

  take(place: number, result: ProbeResult): void {
    if (place < this.settings.monitors.length) {
      this.put(place, result);
      this.status = worseOf(this.status, result);
    }
    this.pending -= 1;
    if (this.pending === 0) this.end();
  }

  private outcomeAt(place: number): Pass | ProbeResult | undefined {
    const { monitors, last } = this.settings;
    return this.outcomes?.[place] ?? (last !== undefined && monitors[place] === last ? this.lastPass : this.firstPass);
  }

  private put(place: number, outcome: Pass | ProbeResult): void {
    // oxlint-disable-next-line unicorn/no-new-array -- one that grows is copied again and again
    (this.outcomes ??= new Array<undefined>(this.settings.monitors.length))[place] = outcome;
  }

  /** What became of the checks. One that passed has no result until somebody reads it. */
  readResults(): ProbeResult[] {
    return this.settings.monitors.map(({ name }, place) => {
      const outcome = this.outcomeAt(place);
      if (outcome === undefined) throw new Error(`The run has no outcome for ${name}.`);
      return 'name' in outcome ? outcome : passed(name, outcome.endedAt - outcome.startedAt, outcome.time, undefined);
    });
  }

  /** One reading serves the outcomes that are told in one turn of the microtask queue. */
  readClock(): number {
    if (this.now === undefined) {
      this.now = performance.now();
      this.turnSoon();
    }
    return this.now;
  }

  turnClock(): void {
    if (this.isEnding) return;
    this.now = performance.now();
    this.beginsAt = this.now;
  }

  private turnSoon(): void {
    if (this.isTurning) return;
    this.isTurning = true;
    void SETTLED.then(() => this.turn());
  }

  /** The microtasks that waited are done. Checks that read memory alone have ended by now, and need no timer. */
  private turn(): void {
    this.isTurning = false;
    this.now = undefined;
    if (this.timer !== undefined || this.pending === 0) return;
    this.armedAt = performance.now();
    this.armNext(this.armedAt);
  }

  /** At their places. An excluded one does not wait for this run, nor does one that has ended: neither has a timeout here. */
  private get joined(): readonly Monitor[] {
    const { monitors, unreported } = this.settings;
    return unreported === undefined ? monitors : [...monitors, ...unreported];
  }

  private get deadlineAt(): number {
    return this.armedAt + this.settings.deadlineMs;
  }

  /** One timer guards all checks that the run has begun. It is armed for the next of their timeouts, or for the deadline. */
  private armNext(now: number): void {
    let dueAt = this.deadlineAt;
    for (const monitor of this.joined) dueAt = Math.min(dueAt, monitor.dueAt(this));
    // After a blocked event loop, answers that have arrived in time wait behind the timer: they are let in first.
    this.timer = setTimeout(() => setImmediate(() => this.judge()), dueAt - now);
  }

  private judge(): void {
    if (this.pending === 0) return;
    const now = performance.now();
    const isOver = (dueAt: number) => dueAt - now < EARLIEST_MS;
    for (const monitor of this.joined) if (isOver(monitor.dueAt(this))) monitor.expire();
    // Not at once: what has just expired is known in a moment, with its cause.
    if (isOver(this.deadlineAt)) afterLastWords(() => this.miss());
    else this.armNext(now);
  }

  /** Answers without the checks that are not known yet. */
  private miss(): void {
    if (this.pending === 0) return;
    const error = new ProbeTimeoutError(`not known within the deadline of ${String(this.settings.deadlineMs)} ms`);
    const durationMs = performance.now() - this.startedAt;
    for (const [place, monitor] of this.joined.entries()) {
      const result = monitor.leave(this, failed(monitor.name, durationMs, error));
      if (result !== undefined) this.take(place, result);
    }
  }

  private end(): void {
    const last = this.last;
    if (last === undefined) {
      clearTimeout(this.timer);
      return this.resolve(this.finish(this));
    }
    this.last = undefined;
    this.isEnding = true;
    this.pending = 1;
    this.beginsAt = this.readClock();
    last.join(this, this.lastPlace);
  }
}

/** Runs the checks together, and resolves to what `finish` makes of the run. */
export function runTogether<T>(settings: RunSettings, finish: (run: Run<T>) => T): Promise<T> {
  return new Promise((resolve) => new Run(settings, finish, resolve).start());
}
