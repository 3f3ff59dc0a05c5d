import { tracingChannel } from 'node:diagnostics_channel';
import { Degraded } from '../errors.js';
import type { ProbeKind } from '../probe.js';
import type { ProbeResult } from '../report/report.js';

export const RUN_OUTCOMES = ['pass', 'fail', 'timeout'] as const;

/** What one run of a check came to, before thresholds. A check that is degraded passes. */
export type RunOutcome = (typeof RUN_OUTCOMES)[number];

/** One run of a check. The same object is told at its beginning and at its end. */
export interface ProbeRun {
  /** The registry of the probe. */
  readonly registry: object;
  /** Name of the probe. */
  readonly probe: string;
  /** The kind of the request that began the run. Requests of another kind may have joined it. */
  readonly kind: ProbeKind;
  /** Undefined until the run has ended. `canceled`: the probe was taken out meanwhile, and the run counts for nothing. */
  readonly outcome: RunOutcome | 'canceled' | undefined;
  /** From the beginning of the run to its outcome, in milliseconds. Undefined until the run has ended. */
  readonly durationMs: number | undefined;
  /** What was thrown, if the run has failed. */
  readonly error: unknown;
}

/** Follows runs from their beginning to their end. Pass after pass takes the long way then. */
export interface RunTracer {
  /** Calls the check of a run that begins, and returns what the check returns: for a context that the check is to see. */
  callCheck(run: ProbeRun, check: () => unknown): unknown;
  /** A run that is abandoned at its timeout ends there. */
  onEnd(run: ProbeRun): void;
}

/** Hears of the runs of one registry. Whatever it throws is reported, and harms no probe. */
export interface RunObserver {
  /** A run has ended. Times are readings of `performance.now()`. It is called for each run: keep it cheap. */
  onRun?(probe: string, outcome: RunOutcome, startedAt: number, endedAt: number): void;
  readonly tracer?: RunTracer | undefined;
}

const channel = tracingChannel<unknown, ProbeRun>('koa-probes:run');

/** `start` and `end` around the call of the check; `asyncStart` and `asyncEnd` once the outcome is known, and `error` before these if the run has failed. */
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

/** Those who observe the runs of one registry, and the subscribers of the channel. */
export class RunObservers<Observer extends RunObserver = RunObserver> {
  /** Replaced and never changed: one may be added or removed while the others are told. */
  private list: readonly Observer[] = [];
  private tracers: readonly RunTracer[] = [];

  constructor(
    private readonly registry: object,
    private readonly onError: (error: unknown) => void,
  ) {}

  /** Whether anybody listens to the runs. Asked once a readiness, and not once a check. */
  get isActive(): boolean {
    return this.list.length > 0 || channel.hasSubscribers;
  }

  get isEmpty(): boolean {
    return this.list.length === 0;
  }

  /** The function that it returns removes the observer. */
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

  /** Undefined if nobody follows the run. Who hears of its beginning hears of its end, too. */
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

/** One run that is followed. */
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

  /** Calls the check once, within all tracers, and gives or throws what it does. A tracer that fails does not keep it from being called. */
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

/** The call whose outcome is known: whoever calls it gets what was returned or thrown. */
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
  // Also if it says so at its abort.
  if (Degraded.is(error)) return 'pass';
  if (isLate) return 'timeout';
  return status === 'pass' ? 'pass' : 'fail';
}
