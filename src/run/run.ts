import { performance } from 'node:perf_hooks';
import { ProbeTimeoutError } from '../errors.js';
import type { ProbeKind } from '../probe.js';
import { excluded, failed, passed, worseOf, type ProbeResult, type ReportStatus } from '../report/report.js';
import { afterLastWords, type PassingExecution, type WaitingRun } from './execution.js';
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

/** What is run, once or again and again. */
export class RunPlan {
  /** A run that has ended and can serve again. */
  spare: Run | undefined;

  constructor(readonly settings: RunSettings) {}
}

/** When a check began and when it passed. */
export interface Pass {
  readonly startedAt: number;
  readonly endedAt: number;
  /** The end by the system's clock, in milliseconds since 1970 UTC. */
  readonly time: number;
}

/** What became of the checks of a run that has ended. A check that passed has no result until somebody reads it. */
export class EndedRun implements Pass {
  constructor(
    readonly kind: ProbeKind,
    /** The worst that is reported. */
    readonly status: ReportStatus,
    private readonly monitors: readonly Monitor[],
    private readonly outcomes: readonly (Pass | ProbeResult | undefined)[] | undefined,
    /** The place of the check that began when all others were known, and took no time. */
    private readonly lastPlace: number,
    readonly startedAt: number,
    readonly endedAt: number,
    readonly time: number,
  ) {}

  /** The pass of the probe in this run, if it has none but that. */
  passOf(monitor: Monitor): Pass | undefined {
    const place = this.monitors.indexOf(monitor);
    if (place === -1) return undefined;
    const outcome = this.outcomeAt(place);
    return 'name' in outcome ? undefined : outcome;
  }

  readResults(): ProbeResult[] {
    return this.monitors.map(({ name }, place) => {
      const outcome = this.outcomeAt(place);
      return 'name' in outcome ? outcome : passed(name, outcome.endedAt - outcome.startedAt, outcome.time, undefined);
    });
  }

  private outcomeAt(place: number): Pass | ProbeResult {
    const { endedAt, time } = this;
    return this.outcomes?.[place] ?? (place === this.lastPlace ? { startedAt: endedAt, endedAt, time } : this);
  }
}

/**
 * One run of several checks: starts all of them together, and calls `finish` as soon as all outcomes are known, at the latest after `deadlineMs`.
 * A check goes this way: `Run.start`, `Monitor.join`, `Execution.begin`, the check itself, `Monitor.judge`, and back here to `pass` or `take`.
 * A run that has ended serves the next one with the same plan: making one costs as much as a few trivial checks.
 */
export class Run implements WaitingRun {
  readonly kind: ProbeKind;
  readonly acceptsLatest: boolean;
  observers: RunObservers | undefined;
  beginsAt = NaN;
  armedAt = Infinity;
  private readonly settings: RunSettings;
  private startedAt = NaN;
  private status: ReportStatus = 'pass';
  private finish: ((ended: EndedRun) => unknown) | undefined;
  private resolve: ((answer: unknown) => void) | undefined;
  /** By place. No array is made as long as all checks pass with the times of the first one. */
  private outcomes: (Pass | ProbeResult | undefined)[] | undefined;
  /** The times of the first check that passes, which most others share. */
  private passStartedAt = NaN;
  private passEndedAt = NaN;
  private passTime = NaN;
  private lastPlace = -1;
  /** Whether `last` has begun. */
  private isEnding = false;
  private pending = 0;
  private timer: NodeJS.Timeout | undefined;
  /** The time in this turn of the microtask queue: reading the clock for each outcome costs as much as a trivial check. */
  private now = NaN;
  private isTurning = false;

  constructor(private readonly plan: RunPlan) {
    const { kind, acceptsLatest = true } = plan.settings;
    this.settings = plan.settings;
    this.kind = kind;
    this.acceptsLatest = acceptsLatest;
  }

  start(finish: (ended: EndedRun) => unknown, resolve: (answer: unknown) => void): void {
    const { monitors, exclude, unreported, last, observers } = this.settings;
    this.finish = finish;
    this.resolve = resolve;
    this.observers = observers?.isActive === true ? observers : undefined;
    this.startedAt = performance.now();
    this.beginsAt = this.startedAt;
    this.now = NaN;
    // One more, for the loop that begins the checks: what ends meanwhile must not end the run.
    this.pending = monitors.length + (unreported?.length ?? 0) - (last === undefined ? 0 : 1) + 1;
    for (let place = 0; place < monitors.length; place += 1) {
      const monitor = monitors[place] as Monitor;
      if (monitor === last) this.lastPlace = place;
      else if (exclude?.includes(monitor.name) === true) this.take(place, excluded(monitor.name));
      else monitor.join(this, place);
    }
    if (unreported !== undefined) for (const [index, monitor] of unreported.entries()) monitor.join(this, monitors.length + index);
    this.pending -= 1;
    if (this.pending === 0) return this.end();
    this.now = NaN;
    this.turnSoon();
  }

  pass({ place, startedAt }: PassingExecution): void {
    if (startedAt !== this.passStartedAt || this.now !== this.passEndedAt) this.keepPass(place, startedAt);
    this.pending -= 1;
    if (this.pending === 0) this.end();
  }

  private keepPass(place: number, startedAt: number): void {
    const endedAt = this.readClock();
    if (endedAt === this.passEndedAt && (startedAt === this.passStartedAt || (this.isEnding && startedAt === endedAt))) return;
    if (Number.isNaN(this.passStartedAt)) {
      this.passStartedAt = startedAt;
      this.passEndedAt = endedAt;
      this.passTime = Date.now();
    } else this.put(place, { startedAt, endedAt, time: endedAt === this.passEndedAt ? this.passTime : Date.now() });
  }

  take(place: number, result: ProbeResult): void {
    if (place < this.settings.monitors.length) {
      this.put(place, result);
      this.status = worseOf(this.status, result);
    }
    this.pending -= 1;
    if (this.pending === 0) this.end();
  }

  private put(place: number, outcome: Pass | ProbeResult): void {
    // oxlint-disable-next-line unicorn/no-new-array -- one that grows is copied again and again
    (this.outcomes ??= new Array<undefined>(this.settings.monitors.length))[place] = outcome;
  }

  /** One reading serves the outcomes that are told in one turn of the microtask queue. */
  readClock(): number {
    if (Number.isNaN(this.now)) {
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
    void SETTLED.then(this.turn);
  }

  /** The microtasks that waited are done. Checks that read memory alone have ended by now, and need no timer. */
  private readonly turn = (): void => {
    this.isTurning = false;
    this.now = NaN;
    if (this.timer !== undefined || this.pending === 0) return;
    this.armedAt = performance.now();
    this.armNext(this.armedAt);
  };

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
    const { last } = this.settings;
    // If it has nothing to say, and all others have just ended, it takes no time.
    if (last !== undefined && !this.isEnding && !(this.now === this.passEndedAt && last.isQuiet)) {
      this.isEnding = true;
      this.pending = 1;
      this.beginsAt = this.readClock();
      return last.join(this, this.lastPlace);
    }
    const { kind, status, settings, outcomes, lastPlace, passStartedAt, passEndedAt, passTime, finish, resolve } = this;
    this.makeSpare();
    resolve?.(finish?.(new EndedRun(kind, status, settings.monitors, outcomes, lastPlace, passStartedAt, passEndedAt, passTime)));
  }

  /** A timer that was armed may still call back: such a run does not serve again. */
  private makeSpare(): void {
    if (this.timer !== undefined) return clearTimeout(this.timer);
    this.status = 'pass';
    this.outcomes = undefined;
    this.passStartedAt = NaN;
    this.passEndedAt = NaN;
    this.isEnding = false;
    this.plan.spare = this;
  }
}

/** Runs the checks together, and resolves to what `finish` makes of the run that has ended. */
export function runTogether<T>(plan: RunPlan, finish: (ended: EndedRun) => T): Promise<T> {
  return new Promise((resolve) => {
    const run = plan.spare ?? new Run(plan);
    plan.spare = undefined;
    run.start(finish, resolve as (answer: unknown) => void);
  });
}
