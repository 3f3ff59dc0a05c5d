import { performance } from 'node:perf_hooks';
import { ProbeTimeoutError } from '../errors.js';
import type { ProbeKind } from '../probe.js';
import { excluded, failed, worseOf, type ProbeResult, type ReportStatus } from '../report/report.js';
import { EndedRun, type Pass } from './ended-run.js';
import { afterLastWords, type Execution, type PassingExecution, type WaitingRun } from './execution.js';
import type { Monitor } from './monitor.js';
import type { RunObservers } from './observers.js';

/** Timers count in whole milliseconds, so they may fire up to one millisecond early by `performance.now()`. */
const EARLIEST_MS = 1;

/** How long a reading of the system clock is used. If the clock is set or the machine is suspended, the `time` of results is wrong for at most this long. */
const TIME_OFFSET_LASTS_MS = 100;

const SETTLED = Promise.resolve();

export interface RunSettings {
  readonly kind: ProbeKind;
  /** The monitors in the order of their results. The array must not change later. */
  readonly monitors: readonly Monitor[];
  /** Names of the monitors that are reported as excluded and not run. */
  readonly exclude?: readonly string[];
  /** Monitors that run but are not reported. */
  readonly unreported?: readonly Monitor[] | undefined;
  /** The first of the monitors, if it begins after all others have ended. */
  readonly last?: Monitor | undefined;
  readonly deadlineMs: number;
  /** Whether an existing result is accepted. A schedule needs a new one. */
  readonly acceptsLatest?: boolean;
  /** The observers of these monitors. */
  readonly observers?: RunObservers | undefined;
}

/** The plan of a run that can be repeated. */
export class RunPlan {
  /** The place of the first check that begins at the start. */
  readonly firstPlace: number;
  /** The execution of each monitor, by place. With many checks, reading them from the monitors in a loop would take most of the time. */
  readonly executions: Execution[];
  /** A run that has ended and can be started again. */
  spare: Run | undefined;

  constructor(readonly settings: RunSettings) {
    const { monitors, last } = settings;
    this.firstPlace = last === undefined ? 0 : 1;
    this.executions = monitors.map(({ execution }) => execution);
  }
}

/**
 * One run of several checks. It starts all of them together and calls `finish` as soon as all outcomes are known, after `deadlineMs` at the latest.
 * The path of a check is: `Run.start`, `Monitor.join`, `Execution.begin`, the check itself, `Monitor.judge`, and `Run.take`.
 * If nothing has changed since its last pass, the path is shorter: `Run.start`, `Execution.begin`, the check itself, and `Run.pass`.
 * A run that has ended is started again for the next request with the same plan, because creating a run costs as much as a few trivial checks.
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
  /** The outcomes by place. No array is created as long as all checks pass with the times of the first one. */
  private outcomes: (Pass | ProbeResult | undefined)[] | undefined;
  /** The times of the first check that passes, which most others share. */
  private passStartedAt = NaN;
  private passEndedAt = NaN;
  private passTime = NaN;
  /** Whether `last` has begun. */
  private isEnding = false;
  private pending = 0;
  private timer: NodeJS.Timeout | undefined;
  /** The time in this turn of the microtask queue. It is kept, because reading the clock for each outcome costs as much as a trivial check. */
  private now = NaN;
  private isTurning = false;
  /** The system clock minus `performance.now()`, and when it was read. */
  private timeOffset = NaN;
  private timeReadAt = NaN;

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
    // Count one more for the loop that begins the checks, so that a check that ends meanwhile does not end the run.
    this.pending = monitors.length + (unreported?.length ?? 0) - (last === undefined ? 0 : 1) + 1;
    if (exclude === undefined) this.beginAll();
    else this.beginSome(exclude);
    if (unreported !== undefined) for (const [index, monitor] of unreported.entries()) monitor.join(this, monitors.length + index);
    this.pending -= 1;
    if (this.pending === 0) return this.end();
    this.now = NaN;
    this.turnSoon();
  }

  private beginAll(): void {
    const { executions, firstPlace } = this.plan;
    for (let place = firstPlace; place < executions.length; place += 1) {
      const execution = executions[place] as Execution;
      if (execution.isPlain && !execution.isInFlight) execution.begin(this, place);
      else this.join(place);
    }
  }

  private join(place: number): void {
    const monitor = this.settings.monitors[place] as Monitor;
    monitor.join(this, place);
    this.plan.executions[place] = monitor.execution;
  }

  private beginSome(exclude: readonly string[]): void {
    const { monitors } = this.settings;
    for (let place = this.plan.firstPlace; place < monitors.length; place += 1) {
      const { name } = monitors[place] as Monitor;
      if (exclude.includes(name)) this.take(place, excluded(name));
      else this.join(place);
    }
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
      this.passTime = this.timeAt(endedAt);
    } else this.put(place, { startedAt, endedAt, time: this.timeAt(endedAt) });
  }

  /** Returns the system time at `now`, which has just been read. It avoids reading both clocks, which costs as much as a trivial check. */
  private timeAt(now: number): number {
    if (!(now - this.timeReadAt < TIME_OFFSET_LASTS_MS)) {
      this.timeReadAt = now;
      this.timeOffset = Date.now() - now;
    }
    return Math.round(now + this.timeOffset);
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
    // oxlint-disable-next-line unicorn/no-new-array -- a growing array would be copied again and again
    (this.outcomes ??= new Array<undefined>(this.settings.monitors.length))[place] = outcome;
  }

  /** Uses one reading of the clock for all outcomes in one turn of the microtask queue. */
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

  /** Called when all waiting microtasks have run. Checks that only read memory have ended by now and need no timer. */
  private readonly turn = (): void => {
    this.isTurning = false;
    this.now = NaN;
    if (this.timer !== undefined || this.pending === 0) return;
    this.armedAt = performance.now();
    this.armNext(this.armedAt);
  };

  /** The monitors at their places. An excluded monitor and one that has ended have no timeout in this run. */
  private get joined(): readonly Monitor[] {
    const { monitors, unreported } = this.settings;
    return unreported === undefined ? monitors : [...monitors, ...unreported];
  }

  private get deadlineAt(): number {
    return this.armedAt + this.settings.deadlineMs;
  }

  /** One timer watches all checks that the run has started. It is set to the next of their timeouts, or to the deadline. */
  private armNext(now: number): void {
    let dueAt = this.deadlineAt;
    for (const monitor of this.joined) dueAt = Math.min(dueAt, monitor.dueAt(this));
    // After the event loop was blocked, answers that have arrived in time are queued behind the timer. Process them first.
    this.timer = setTimeout(() => setImmediate(() => this.judge()), dueAt - now);
  }

  private judge(): void {
    if (this.pending === 0) return;
    const now = performance.now();
    const isOver = (dueAt: number) => dueAt - now < EARLIEST_MS;
    for (const monitor of this.joined) if (isOver(monitor.dueAt(this))) monitor.expire();
    // Wait a moment, because a check that has just expired may still report its cause.
    if (isOver(this.deadlineAt)) afterLastWords(() => this.miss());
    else this.armNext(now);
  }

  /** Ends the run without the outcomes that are not known yet. */
  private miss(): void {
    if (this.pending === 0) return;
    const error = new ProbeTimeoutError(`deadline exceeded: no result within ${String(this.settings.deadlineMs)} ms`);
    const durationMs = performance.now() - this.startedAt;
    for (const [place, monitor] of this.joined.entries()) {
      const result = monitor.leave(this, failed(monitor.name, durationMs, error));
      if (result !== undefined) this.take(place, result);
    }
  }

  private end(): void {
    const { last } = this.settings;
    // If the others have just ended and the last one has nothing to report, it passes without being run.
    if (last !== undefined && !this.isEnding && !(this.now === this.passEndedAt && last.isQuiet)) {
      this.isEnding = true;
      this.pending = 1;
      this.beginsAt = this.readClock();
      return last.join(this, 0);
    }
    const { kind, status, settings, outcomes, passStartedAt, passEndedAt, passTime, finish, resolve } = this;
    this.makeSpare();
    resolve?.(finish?.(new EndedRun(kind, status, settings.monitors, outcomes, last !== undefined, passStartedAt, passEndedAt, passTime)));
  }

  /** Keeps this run for the next request, unless a timer was set, because the timer may still call back. */
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

/** Runs the checks together and resolves to the result of `finish` for the ended run. */
export function runTogether<T>(plan: RunPlan, finish: (ended: EndedRun) => T): Promise<T> {
  return new Promise((resolve) => {
    const run = plan.spare ?? new Run(plan);
    plan.spare = undefined;
    run.start(finish, resolve as (answer: unknown) => void);
  });
}
