import { ProbeTimeoutError } from './errors.js';
import { Execution, type ExecutionObserver } from './execution.js';
import type { Probe, ProbeKind, ResolvedProbeOptions } from './probe.js';
import type { ProbeResult } from './report.js';

/** The longest that a probe which hangs is left alone before it is tried once more. */
const LONGEST_BACK_OFF_MS = 60_000;

/** The probe of a monitor went over from one status to another, or has its first. */
export type StatusListener = (monitor: Monitor, result: ProbeResult, previous: ProbeResult | undefined) => void;

/** One probe over time: at most one run in flight, and none beside an abandoned one until its back-off has passed. */
export class Monitor implements ExecutionObserver {
  /** The pass with which a startup probe is done for good. */
  firstPass: ProbeResult | undefined;
  #latest: ProbeResult | undefined;
  #inFlight: Execution | undefined;
  #abandoned: Execution | undefined;
  #backOffMs = 0;
  #retryAt = 0;
  #closedBy: Error | undefined;

  constructor(
    readonly name: string,
    readonly kinds: readonly ProbeKind[],
    readonly options: ResolvedProbeOptions,
    private readonly probe: Probe,
    private readonly onStatus: StatusListener,
  ) {}

  /** The run in flight, or a new one, which may have its result already; or a result at once where none may begin. */
  join(kind: ProbeKind, now: number): Execution | ProbeResult {
    if (this.#inFlight !== undefined) return this.#inFlight;
    if (this.#closedBy !== undefined) return this.#failAtOnce(this.#closedBy);
    if (this.#abandoned !== undefined && now < this.#retryAt) {
      return this.#failAtOnce(new ProbeTimeoutError(`still running after ${String(Math.round(now - this.#abandoned.startedAt))} ms`));
    }
    const execution = new Execution(this.name, this.options.timeoutMs, now, kind, this);
    this.#inFlight = execution;
    execution.start(this.probe);
    return execution;
  }

  /** Ends the run in flight and lets no other begin. */
  close(reason: Error): void {
    this.#closedBy = reason;
    this.#inFlight?.abandon(reason);
  }

  onResult(execution: Execution, result: ProbeResult): void {
    this.#inFlight = undefined;
    if (execution.isAbandoned) this.#backOff(execution);
    else this.#abandoned = undefined;
    if (result.status === 'pass') this.firstPass ??= result;
    const previous = this.#latest;
    this.#latest = result;
    if (previous?.status !== result.status) this.onStatus(this, result, previous);
  }

  onLateSettlement(execution: Execution): void {
    if (execution === this.#abandoned) this.#abandoned = undefined;
  }

  #backOff(execution: Execution): void {
    const hangsAgain = this.#abandoned !== undefined;
    this.#backOffMs = hangsAgain ? Math.min(this.#backOffMs * 2, LONGEST_BACK_OFF_MS) : this.options.timeoutMs;
    this.#abandoned = execution;
    this.#retryAt = performance.now() + this.#backOffMs;
  }

  #failAtOnce(error: Error): ProbeResult {
    return { name: this.name, status: 'fail', durationMs: 0, time: Date.now(), error, data: undefined };
  }
}
