import { tracingChannel } from 'node:diagnostics_channel';
import { Degraded } from '../errors.js';
import type { ProbeKind } from '../probe.js';
import type { ProbeResult } from '../report/report.js';

/** What one run of a check came to, before thresholds: `pass` (degraded or not), `fail`, or `timeout`. `canceled`: the probe was taken out meanwhile, and the run counts for nothing. */
export type RunOutcome = 'pass' | 'fail' | 'timeout' | 'canceled';

/** One run of a check. The same object is told at its beginning and at its end. */
export interface ProbeRun {
  /** The registry of the probe. */
  readonly registry: object;
  /** Name of the probe. */
  readonly probe: string;
  /** The kind of the request that began the run. Requests of another kind may have joined it. */
  readonly kind: ProbeKind;
  /** Undefined until the run has ended. */
  readonly outcome: RunOutcome | undefined;
  /** From the beginning of the run to its outcome, in milliseconds. Undefined until the run has ended. */
  readonly durationMs: number | undefined;
  /** What was thrown, if the run has failed. */
  readonly error: unknown;
}

/** Hears of the runs of one registry. Whatever it throws is reported, and harms no probe. */
export interface RunObserver {
  /** Calls the check of a run that begins, and returns what the check returns: for a context that the check is to see. */
  aroundCheck?(run: ProbeRun, check: () => unknown): unknown;
  /** A run has ended. A run that is abandoned at its timeout ends there. */
  onRun?(run: ProbeRun): void;
}

const channel = tracingChannel<unknown, ProbeRun>('koa-probes:run');

/** `start` and `end` around the call of the check; `asyncStart` and `asyncEnd` once the outcome is known, and `error` before these if the run has failed. */
const publisher: RunObserver = {
  aroundCheck(run, check) {
    const returned = channel.start.runStores(run, check);
    channel.end.publish(run);
    return returned;
  },
  onRun(run) {
    if (run.outcome === 'fail' || run.outcome === 'timeout') channel.error.publish(run);
    channel.asyncStart.publish(run);
    channel.asyncEnd.publish(run);
  },
};

/** Those who observe the runs of one registry, and the subscribers of the channel. */
export class RunObservers<Observer extends RunObserver = RunObserver> {
  /** Replaced and never changed: one may be added or removed while the others are told. */
  private list: readonly Observer[] = [];

  constructor(
    private readonly registry: object,
    private readonly onError: (error: unknown) => void,
  ) {}

  /** Whether anybody listens. Asked once a readiness, and not once a check. */
  get isActive(): boolean {
    return !this.isEmpty || channel.hasSubscribers;
  }

  get isEmpty(): boolean {
    return this.list.length === 0;
  }

  /** The function that it returns removes the observer. */
  add(observer: Observer): () => void {
    this.list = [...this.list, observer];
    return () => {
      this.list = this.list.filter((other) => other !== observer);
    };
  }

  tell(call: (observer: Observer) => void): void {
    for (const observer of this.list) this.guard(() => call(observer));
  }

  /** Those who hear of the beginning of a run hear of its end, too. */
  begin(probe: string, kind: ProbeKind): ObservedRun {
    const observers: readonly RunObserver[] = channel.hasSubscribers ? [publisher, ...this.list] : this.list;
    return new ObservedRun(this.registry, probe, kind, observers, this.guard);
  }

  private readonly guard = (call: () => void): void => {
    try {
      call();
    } catch (error) {
      this.onError(error);
    }
  };
}

/** One run that is observed. */
export class ObservedRun implements ProbeRun {
  outcome: RunOutcome | undefined;
  durationMs: number | undefined;
  error: unknown;
  readonly #observers: readonly RunObserver[];
  readonly #guard: (call: () => void) => void;

  constructor(
    readonly registry: object,
    readonly probe: string,
    readonly kind: ProbeKind,
    observers: readonly RunObserver[],
    guard: (call: () => void) => void,
  ) {
    this.#observers = observers;
    this.#guard = guard;
  }

  /** Calls the check once, within all observers, and gives or throws what it does. An observer that fails does not keep it from being called. */
  callCheck(check: () => unknown): unknown {
    let call: (() => unknown) | undefined;
    let answer: (() => unknown) | undefined;
    for (const observer of this.#observers) {
      if (observer.aroundCheck === undefined) continue;
      const inner = (call ??= () => (answer = settle(check)));
      call = () => observer.aroundCheck?.(this, inner);
    }
    if (call === undefined) return check();
    this.#guard(call);
    return (answer ?? check)();
  }

  end(outcome: RunOutcome, durationMs: number, error: unknown): void {
    this.outcome = outcome;
    this.durationMs = durationMs;
    this.error = error;
    for (const observer of this.#observers) if (observer.onRun !== undefined) this.#guard(() => observer.onRun?.(this));
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
  if (isLate) return 'timeout';
  return status === 'pass' || Degraded.is(error) ? 'pass' : 'fail';
}
