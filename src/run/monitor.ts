import { performance } from 'node:perf_hooks';
import { Degraded, NotReady, ProbeTimeoutError } from '../errors.js';
import type { Probe, ProbeKind, ResolvedProbeOptions } from '../probe.js';
import { excluded, failed, type ProbeResult } from '../report/report.js';
import { Execution, type ExecutionOwner, type WaitingRun } from './execution.js';
import type { Failure } from './returned.js';

/** The longest back-off before a hanging probe is tried again. */
const LONGEST_BACK_OFF_MS = 60_000;

export interface MonitorListener {
  /** Called when a run has ended, except for a pass after a pass. `previous` is the previous result, and `outcome` is the outcome of the run itself, before thresholds. */
  onResult(monitor: Monitor, result: ProbeResult, previous: ProbeResult | undefined, outcome: ProbeResult): void;
  /** Called when an abandoned run has passed after all. It is called once until the probe passes in time. */
  onLatePass(monitor: Monitor, durationMs: number): void;
  /** Called when it becomes known that the probe uses something outside the process. */
  onOutside(monitor: Monitor, what: string): void;
}

/**
 * One probe over time. It allows one execution in flight, and no new execution while an abandoned one is running, until its back-off has passed.
 * It applies the thresholds and the cache between an execution and the result that a run gets.
 */
export class Monitor implements ExecutionOwner {
  readonly timeoutMs: number;
  /** Number of requests that have joined an execution in flight. */
  sharedRuns = 0;
  /** Number of executions that were abandoned and have not settled. */
  hangingRuns = 0;
  /** The first pass of a startup probe. The probe does not run again after it. */
  firstPass: ProbeResult | undefined;
  /** The latest result. It is kept only if it can be used again, because objects that outlive their response cost the garbage collector more than the run. */
  private latest: ProbeResult | undefined;
  private latestAt = -Infinity;
  /** The last result that was judged, and when. A pass after a pass is not judged and is known only to its run. */
  judged: ProbeResult | undefined;
  judgedAt = -Infinity;
  /** The execution in flight, or the next one. It is replaced when it is abandoned. */
  execution: Execution;
  private abandoned: Execution | undefined;
  private backOffMs = 0;
  private retryAt = 0;
  private failuresInARow = 0;
  private passesInARow = 0;
  /** Whether the probe fails until it has passed `successThreshold` times. */
  private isDown = false;
  private hasPassed = false;
  /** What it is known to check outside the process. */
  outside: string | undefined;
  private isLatePassTold = false;
  private closedBy: Error | undefined;
  private isRemoved = false;
  /** How old a result may be to be used without a new execution. */
  private readonly maxAgeMs: number;
  private readonly isStartup: boolean;

  constructor(
    readonly name: string,
    readonly kinds: readonly ProbeKind[],
    readonly options: ResolvedProbeOptions,
    private readonly probe: Probe,
    private readonly listener: MonitorListener,
    /** Whether observers are told about its runs. */
    readonly isObservable = true,
    /** Returns whether the check would pass at once. Calling it costs less than a run of the check. */
    private readonly hasNothingToSay?: () => boolean,
  ) {
    this.timeoutMs = options.timeoutMs;
    this.execution = new Execution(probe, this);
    this.isStartup = kinds.includes('startup');
    this.maxAgeMs = options.intervalMs > 0 ? options.intervalMs + options.timeoutMs : options.cacheMs;
  }

  /** Gives `run` a result at once if there is one or no execution may begin. Otherwise `run` gets the result of the execution in flight or of a new one. */
  join(run: WaitingRun, place: number): void {
    const { execution } = this;
    if (execution.isPlain && !execution.isInFlight) return execution.begin(run, place);
    const now = run.beginsAt;
    if (this.firstPass !== undefined && run.kind === 'startup' && run.acceptsLatest) return run.take(place, this.firstPass);
    if (this.isRemoved) return run.take(place, excluded(this.name));
    if (this.closedBy !== undefined) return run.take(place, failed(this.name, 0, this.closedBy));
    if (this.latest !== undefined && run.acceptsLatest && now - this.latestAt < this.maxAgeMs) return run.take(place, this.latest);
    if (this.execution.isInFlight) {
      this.sharedRuns += 1;
      return this.execution.wait(run, place);
    }
    if (this.abandoned !== undefined && now < this.retryAt) return run.take(place, this.failStillRunning(this.abandoned, now));
    this.execution.begin(run, place);
  }

  /** Whether it would pass at once, like the last time. */
  get isQuiet(): boolean {
    const { execution, hasNothingToSay } = this;
    return hasNothingToSay !== undefined && execution.isPlain && !execution.isInFlight && hasNothingToSay();
  }

  /** Returns when the execution in flight times out, if `run` watches its timeout. */
  dueAt(run: WaitingRun): number {
    return this.execution.dueAt(run);
  }

  expire(): void {
    this.execution.expire();
  }

  /** Makes `run` stop waiting for the execution in flight, and returns the result for it. The execution continues and is counted when it has ended. Until then it counts as one more failure. */
  leave(run: WaitingRun, outcome: ProbeResult): ProbeResult | undefined {
    return this.execution.stopWaiting(run) ? this.tolerate(outcome, this.isDownWith(this.failuresInARow + 1)) : undefined;
  }

  /** Ends the execution in flight and allows no other. */
  close(reason: Error): void {
    this.closedBy = reason;
    this.execution.isPlain = false;
    this.isDown = true;
    this.execution.abandon(reason);
  }

  /** Removes the probe. The runs that wait for it continue without it. */
  remove(reason: Error): void {
    this.isRemoved = true;
    this.execution.isPlain = false;
    if (this.execution.isInFlight) this.hangingRuns += 1;
    this.execution.dismiss(excluded(this.name), reason);
  }

  judge(execution: Execution, outcome: ProbeResult): ProbeResult {
    if (execution.isAbandoned) this.backOff(execution);
    else this.abandoned = undefined;
    const counted = this.count(outcome);
    if (counted.status === 'pass') {
      this.hasPassed = true;
      this.isLatePassTold = false;
      if (this.isStartup) this.firstPass ??= counted;
    }
    const result = this.degradeIfSlow(counted);
    if (this.maxAgeMs > 0) {
      this.latest = result;
      this.latestAt = execution.startedAt + result.durationMs;
    }
    execution.isPlain = result.status === 'pass' && this.maxAgeMs === 0 && this.options.slowMs === 0 && !this.isStartup;
    this.announce(result, outcome);
    return result;
  }

  onLateSettlement(execution: Execution, durationMs: number, failure: Failure | undefined): void {
    this.hangingRuns -= 1;
    if (execution === this.abandoned) this.abandoned = undefined;
    if (this.closedBy !== undefined || this.isRemoved || failure !== undefined || this.isLatePassTold) return;
    this.isLatePassTold = true;
    this.listener.onLatePass(this, durationMs);
  }

  /** Reports this only once, because a plain function calls it at each execution. */
  onOutside(what: string): void {
    if (this.outside !== undefined) return;
    this.outside = what;
    this.listener.onOutside(this, what);
  }

  private announce(result: ProbeResult, outcome: ProbeResult): void {
    const previous = this.judged;
    this.judged = result;
    this.judgedAt = performance.now();
    if (result.status !== 'pass' || previous?.status !== 'pass') this.listener.onResult(this, result, previous, outcome);
  }

  /** Turns a slow pass into a warning. It still counts as a pass. */
  private degradeIfSlow(result: ProbeResult): ProbeResult {
    const { slowMs } = this.options;
    const { name, status, durationMs, time, data } = result;
    if (slowMs === 0 || status !== 'pass' || durationMs <= slowMs) return result;
    const error = new Degraded(`slow: passed after ${String(Math.round(durationMs))} ms, longer than \`slowMs\` (${String(slowMs)} ms)`);
    return { ...failed(name, durationMs, error), status: 'warn', time, data };
  }

  private backOff(execution: Execution): void {
    const hangsAgain = this.abandoned !== undefined;
    this.backOffMs = Math.min(hangsAgain ? this.backOffMs * 2 : this.timeoutMs, LONGEST_BACK_OFF_MS);
    this.abandoned = execution;
    this.hangingRuns += 1;
    this.execution = new Execution(this.probe, this);
    this.retryAt = performance.now() + this.backOffMs;
  }

  private count(outcome: ProbeResult): ProbeResult {
    if (outcome.status === 'pass') {
      this.failuresInARow = 0;
      return this.countPass(outcome);
    }
    // A degraded dependency works, so it can end an outage. But it does not reset the count of failures.
    if (Degraded.is(outcome.error)) return this.countPass({ ...outcome, status: 'warn' });
    this.passesInARow = 0;
    this.failuresInARow += 1;
    this.isDown = this.isDownWith(this.failuresInARow);
    return this.tolerate(outcome);
  }

  private countPass(outcome: ProbeResult): ProbeResult {
    this.passesInARow += 1;
    const { successThreshold } = this.options;
    if (!this.isDown || this.passesInARow >= successThreshold) {
      this.isDown = false;
      return outcome;
    }
    const error = new NotReady(`passed ${String(this.passesInARow)} of ${String(successThreshold)} times since it failed`);
    return this.tolerate(failed(this.name, outcome.durationMs, error));
  }

  private isDownWith(failuresInARow: number): boolean {
    return this.isDown || !this.hasPassed || failuresInARow >= this.options.failureThreshold;
  }

  /** Turns a failure that is tolerated into a warning. */
  private tolerate(failure: ProbeResult, isDown = this.isDown): ProbeResult {
    return isDown && this.options.critical ? failure : { ...failure, status: 'warn' };
  }

  private failStillRunning({ startedAt }: Execution, now: number): ProbeResult {
    const error = new ProbeTimeoutError(`still running after ${String(Math.round(now - startedAt))} ms`);
    return this.tolerate(failed(this.name, 0, error));
  }
}
