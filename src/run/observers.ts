import { tracingChannel } from 'node:diagnostics_channel';
import { Degraded } from '../errors.js';
import type { ProbeKind } from '../probe.js';
import type { ProbeResult } from '../report/report.js';

export const RUN_OUTCOMES = ['pass', 'fail', 'timeout'] as const;

/** The outcome of one run of a check, before thresholds. A degraded check counts as `pass`. */
export type RunOutcome = (typeof RUN_OUTCOMES)[number];

/** One run of a check. The same object is published at the start and at the end of the run. */
export interface ProbeRun {
  /** The registry of the probe. */
  readonly registry: object;
  /** Name of the probe. */
  readonly probe: string;
  /** The kind of the request that started the run. Requests of another kind may have joined it. */
  readonly kind: ProbeKind;
  /** Undefined until the run has ended. `canceled` means that the probe was removed during the run, and that the run is not counted. */
  readonly outcome: RunOutcome | 'canceled' | undefined;
  /** Time from the start of the run to its outcome, in milliseconds. Undefined until the run has ended. */
  readonly durationMs: number | undefined;
  /** The thrown value, if the run has failed. */
  readonly error: unknown;
}

/** Follows runs from start to end. While there is a tracer, a pass after a pass cannot use the short path. */
export interface RunTracer {
  /** Calls the check of a run that begins, and returns its result. Use it to run the check in a context. */
  callCheck(run: ProbeRun, check: () => unknown): unknown;
  /** Called when the run has ended. A run that is abandoned at its timeout ends at that time. */
  onEnd(run: ProbeRun): void;
}

/** Observes the runs of one registry. Errors that it throws are logged and do not affect the probes. */
export interface RunObserver {
  /** Called when a run has ended. Times are readings of `performance.now()`. It is called for each run, so it must be cheap. */
  onRun?(probe: string, outcome: RunOutcome, startedAt: number, endedAt: number): void;
  readonly tracer?: RunTracer | undefined;
}

const channel = tracingChannel<unknown, ProbeRun>('koa-probes:run');

/** Publishes `start` and `end` around the call of the check. Once the outcome is known, it publishes `error` if the run has failed, and then `asyncStart` and `asyncEnd`. */
const publisher: RunTracer = {
  callCheck(run, check) {
    const returned = channel.start.runStores(run, check);
    channel.end.publish(run);
    return returned;
  },
  onEnd(run) {
    if (run.outcome === 'fail' || run.outcome === 'timeout') channel.error.publish(run);
    channel.asyncStart.publish(run);
    channel.asyncEnd.publish(run);
  },
};

/** The observers of the runs of one registry, and the subscribers of the channel. */
export class RunObservers<Observer extends RunObserver = RunObserver> {
  /** The array is replaced and never changed, because an observer may be added or removed during a loop over it. */
  private list: readonly Observer[] = [];
  private tracers: readonly RunTracer[] = [];

  constructor(
    private readonly registry: object,
    private readonly onError: (error: unknown) => void,
  ) {}

  /** Whether anybody observes the runs. It is read once per run of a kind, and not once per check. */
  get isActive(): boolean {
    return this.list.length > 0 || channel.hasSubscribers;
  }

  get isEmpty(): boolean {
    return this.list.length === 0;
  }

  /** Adds an observer. The returned function removes it. */
  add(observer: Observer): () => void {
    this.replace([...this.list, observer]);
    return () => this.replace(this.list.filter((other) => other !== observer));
  }

  tell(call: (observer: Observer) => void): void {
    for (const observer of this.list) this.guard(() => call(observer));
  }

  tellRun(probe: string, outcome: RunOutcome, startedAt: number, endedAt: number): void {
    for (const observer of this.list) {
      try {
        observer.onRun?.(probe, outcome, startedAt, endedAt);
      } catch (error) {
        this.onError(error);
      }
    }
  }

  /** Starts to trace a run, or returns undefined if there is no tracer. A tracer that is told about the start is also told about the end. */
  trace(probe: string, kind: ProbeKind): TracedRun | undefined {
    const tracers = channel.hasSubscribers ? [publisher, ...this.tracers] : this.tracers;
    return tracers.length === 0 ? undefined : new TracedRun(this.registry, probe, kind, tracers, this.guard);
  }

  private replace(list: readonly Observer[]): void {
    this.list = list;
    this.tracers = list.flatMap(({ tracer }) => tracer ?? []);
  }

  private readonly guard = (call: () => void): void => {
    try {
      call();
    } catch (error) {
      this.onError(error);
    }
  };
}

/** One traced run. */
export class TracedRun implements ProbeRun {
  outcome: RunOutcome | 'canceled' | undefined;
  durationMs: number | undefined;
  error: unknown;
  readonly #tracers: readonly RunTracer[];
  readonly #guard: (call: () => void) => void;

  constructor(
    readonly registry: object,
    readonly probe: string,
    readonly kind: ProbeKind,
    tracers: readonly RunTracer[],
    guard: (call: () => void) => void,
  ) {
    this.#tracers = tracers;
    this.#guard = guard;
  }

  /** Calls the check once, inside all tracers, and returns or throws its result. The check is called even if a tracer throws. */
  callCheck(check: () => unknown): unknown {
    let answer: (() => unknown) | undefined;
    let call = (): unknown => (answer ??= settle(check));
    for (const tracer of this.#tracers) {
      const inner = call;
      call = () => tracer.callCheck(this, inner);
    }
    this.#guard(call);
    return (answer ?? settle(check))();
  }

  end(outcome: RunOutcome | 'canceled', durationMs: number, error: unknown): void {
    this.outcome = outcome;
    this.durationMs = durationMs;
    this.error = error;
    for (const tracer of this.#tracers) this.#guard(() => tracer.onEnd(this));
  }
}

/** Makes the call and returns a function that repeats its outcome: it returns or throws the same value. */
function settle(call: () => unknown): () => unknown {
  try {
    const value = call();
    return () => value;
  } catch (error) {
    return () => {
      throw error;
    };
  }
}

export function outcomeOf({ status, error }: ProbeResult, isLate: boolean): RunOutcome {
  // A check that answers its abort with Degraded counts as a pass too.
  if (Degraded.is(error)) return 'pass';
  if (isLate) return 'timeout';
  return status === 'pass' ? 'pass' : 'fail';
}
