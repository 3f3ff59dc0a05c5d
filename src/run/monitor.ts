import { performance } from 'node:perf_hooks';
import type { Batch } from './batch.js';
import { NotReady, ProbeTimeoutError } from '../errors.js';
import { Execution, type ExecutionObserver } from './execution.js';
import type { Probe, ProbeKind, ResolvedProbeOptions } from '../probe.js';
import { failed, type ProbeResult } from '../report/report.js';

/** The longest that a probe which hangs is left alone before it is tried once more. */
const LONGEST_BACK_OFF_MS = 60_000;

export interface MonitorListener {
  /** The probe went over from one status to another, or has its first. */
  onStatus(monitor: Monitor, result: ProbeResult, previous: ProbeResult['status'] | undefined): void;
  /** The probe is known to reach outside the process. */
  onOutside(monitor: Monitor, what: string): void;
}

/** One probe over time: at most one run in flight, none beside an abandoned one until its back-off has passed, and the thresholds and the cache between a run and its answer. */
export class Monitor implements ExecutionObserver {
  /** The pass with which a startup probe is done for good. */
  firstPass: ProbeResult | undefined;
  /** Kept only where it can be given again: what outlives its answer costs the collector more than the run. */
  #latest: ProbeResult | undefined;
  #status: ProbeResult['status'] | undefined;
  #detail: string | undefined;
  #latestAt = -Infinity;
  #execution: Execution;
  #abandoned: Execution | undefined;
  #backOffMs = 0;
  #retryAt = 0;
  #failuresInARow = 0;
  #passesInARow = 0;
  /** It fails until it has passed `successThreshold` times; before the first result nothing is known to be lost. */
  #isDown = false;
  #hasPassed = false;
  #isKnownOutside = false;
  #closedBy: Error | undefined;
  /** How old a result may be that is given without a new run. */
  readonly #maxAgeMs: number;
  readonly #isStartup: boolean;

  constructor(
    readonly name: string,
    readonly kinds: readonly ProbeKind[],
    readonly options: ResolvedProbeOptions,
    private readonly probe: Probe,
    private readonly listener: MonitorListener,
    /** Whether another reason is news too. */
    private readonly tellsReasons = false,
  ) {
    this.#execution = this.#makeExecution();
    this.#isStartup = kinds.includes('startup');
    this.#maxAgeMs = options.intervalMs > 0 ? options.intervalMs + options.timeoutMs : options.cacheMs;
  }

  /** `batch` is told a result at once, where there is one or no run may begin; else the result of the run in flight, or of a new one. */
  join(batch: Batch, place: number): void {
    const now = batch.beginsAt;
    if (this.#closedBy !== undefined) return batch.onResult(place, failed(this.name, now, now, this.#closedBy));
    if (batch.acceptsLatest && this.#latest !== undefined && now - this.#latestAt < this.#maxAgeMs)
      return batch.onResult(place, this.#latest);
    if (this.#execution.batch !== undefined) return this.#execution.wait(batch, place);
    if (this.#abandoned !== undefined && now < this.#retryAt)
      return batch.onResult(place, this.#failAtOnce(now, stillRunning(this.#abandoned, now)));
    this.#execution.begin(batch, place);
  }

  /** What `batch` answers with, which can wait no longer. The run in flight goes on and counts once it has ended; until then it is taken for one more failure. */
  leave(batch: Batch, outcome: ProbeResult): ProbeResult {
    this.#execution.stopWaiting(batch);
    return this.#tolerate(outcome, this.#isDownWith(this.#failuresInARow + 1));
  }

  /** When the time of the run is over that has begun with `batch`; never, where none of it is in flight. */
  dueAt(batch: Batch): number {
    return this.#execution.batch === batch ? this.#execution.dueAt : Infinity;
  }

  expire(): void {
    this.#execution.expire();
  }

  /** Ends the run in flight and lets no other begin. */
  close(reason: Error): void {
    this.#closedBy = reason;
    this.#isDown = true;
    this.#execution.abandon(reason);
  }

  onResult(execution: Execution, outcome: ProbeResult): ProbeResult {
    // The way of nearly all runs: it passed before, it passes now, and nothing has to be kept.
    if (this.#status === 'pass' && outcome.status === 'pass' && this.#maxAgeMs === 0) return outcome;
    if (execution.isAbandoned) this.#backOff(execution);
    else this.#abandoned = undefined;
    const result = outcome.status === 'fail' ? this.#countFailure(outcome) : this.#countPass(outcome);
    if (result.status === 'pass') this.#hasPassed = true;
    if (result.status === 'pass' && this.#isStartup) this.firstPass ??= result;
    if (this.#maxAgeMs > 0) {
      this.#latest = result;
      this.#latestAt = execution.startedAt + result.durationMs;
    }
    const previous = this.#status;
    const detail = result.failure?.detail;
    const isNews = result.status !== previous || (this.tellsReasons && detail !== this.#detail);
    this.#status = result.status;
    this.#detail = detail;
    if (isNews) this.listener.onStatus(this, result, previous);
    return result;
  }

  onLateSettlement(execution: Execution): void {
    if (execution === this.#abandoned) this.#abandoned = undefined;
  }

  /** Heard once a class and at each run of a plain function: said once. */
  onOutside(what: string): void {
    if (this.#isKnownOutside) return;
    this.#isKnownOutside = true;
    this.listener.onOutside(this, what);
  }

  #backOff(execution: Execution): void {
    const hangsAgain = this.#abandoned !== undefined;
    this.#backOffMs = Math.min(hangsAgain ? this.#backOffMs * 2 : this.options.timeoutMs, LONGEST_BACK_OFF_MS);
    this.#abandoned = execution;
    this.#execution = this.#makeExecution();
    this.#retryAt = performance.now() + this.#backOffMs;
  }

  #makeExecution(): Execution {
    return new Execution(this.name, this.options.timeoutMs, this.probe, this);
  }

  #countFailure(outcome: ProbeResult): ProbeResult {
    this.#passesInARow = 0;
    this.#failuresInARow += 1;
    this.#isDown = this.#isDownWith(this.#failuresInARow);
    return this.#tolerate(outcome);
  }

  #isDownWith(failuresInARow: number): boolean {
    return this.#isDown || !this.#hasPassed || failuresInARow >= this.options.failureThreshold;
  }

  #countPass(outcome: ProbeResult): ProbeResult {
    this.#failuresInARow = 0;
    this.#passesInARow += 1;
    const { successThreshold } = this.options;
    if (!this.#isDown || this.#passesInARow >= successThreshold) {
      this.#isDown = false;
      return outcome;
    }
    const error = new NotReady(`passed ${String(this.#passesInARow)} of ${String(successThreshold)} times since it failed`);
    return this.#tolerate({ ...failed(this.name, 0, 0, error), durationMs: outcome.durationMs, time: outcome.time });
  }

  /** A failure that does not count degrades. */
  #tolerate(failure: ProbeResult, isDown = this.#isDown): ProbeResult {
    return isDown && this.options.critical ? failure : { ...failure, status: 'warn' };
  }

  #failAtOnce(now: number, error: Error): ProbeResult {
    return this.#tolerate(failed(this.name, now, now, error));
  }
}

function stillRunning({ startedAt }: Execution, now: number): ProbeTimeoutError {
  return new ProbeTimeoutError(`still running after ${String(Math.round(now - startedAt))} ms`);
}
