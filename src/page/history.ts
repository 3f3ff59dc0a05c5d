import type { ProbeKind } from '../probe.js';
import type { ProbeChange } from '../registry/events.js';
import type { ProbeRegistry } from '../registry/registry.js';
import type { RunOutcome } from '../run/observers.js';

/** Runs that are kept of each probe. */
const MOST_RUNS = 40;
/** Changes that are kept in all. */
const MOST_CHANGES = 100;

export interface PastRun {
  readonly outcome: RunOutcome;
  readonly durationMs: number;
}

/** One change of the status of a probe, as text: an error that was thrown is not kept. */
export interface PastChange {
  /** In milliseconds since 1970 UTC. */
  readonly time: number;
  readonly name: string;
  readonly kinds: readonly ProbeKind[];
  readonly status: string;
  readonly previous: string | undefined;
  /** What the public may read. */
  readonly reason: string | undefined;
  /** What the operator reads. */
  readonly detail: string | undefined;
}

/** What the page remembers of one registry, in bounds. It runs no probe. */
export class History {
  /** Newest first. */
  readonly changes: PastChange[] = [];
  readonly #runs = new Map<string, PastRun[]>();
  readonly #passedAt = new Map<string, number>();
  /** Since when a probe has its status, where a change was seen. */
  readonly #since = new Map<string, number>();
  readonly #stop: () => void;

  /** `onNews(probe)` is called for each run, and without a name for each change. */
  constructor(probes: ProbeRegistry, onNews: (probe: string | undefined) => void) {
    const removeObserver = probes.observers.add({
      onRun: (probe, outcome, startedAt, endedAt) => {
        this.#keepRun(probe, { outcome, durationMs: endedAt - startedAt });
        onNews(probe);
      },
      onRemove: (probe) => {
        for (const map of [this.#runs, this.#passedAt, this.#since]) map.delete(probe);
        onNews(undefined);
      },
    });
    const onChange = (change: ProbeChange) => {
      this.#keepChange(change);
      onNews(undefined);
    };
    probes.on('change', onChange);
    this.#stop = () => {
      removeObserver();
      probes.off('change', onChange);
    };
  }

  stop(): void {
    this.#stop();
  }

  /** How many probes have run. */
  get probes(): number {
    return this.#runs.size;
  }

  /** Oldest first. */
  runsOf(probe: string): readonly PastRun[] {
    return this.#runs.get(probe) ?? [];
  }

  passedAt(probe: string): number | undefined {
    return this.#passedAt.get(probe);
  }

  since(probe: string): number | undefined {
    return this.#since.get(probe);
  }

  #keepRun(probe: string, run: PastRun): void {
    const runs = this.#runs.get(probe) ?? [];
    runs.push(run);
    if (runs.length > MOST_RUNS) runs.shift();
    this.#runs.set(probe, runs);
    if (run.outcome === 'pass') this.#passedAt.set(probe, Date.now());
  }

  #keepChange({ name, kinds, result, previous }: ProbeChange): void {
    const { status, time, failure } = result;
    if (status !== previous) this.#since.set(name, time);
    this.changes.unshift({ time, name, kinds, status, previous, reason: failure?.reason, detail: failure?.detail });
    if (this.changes.length > MOST_CHANGES) this.changes.pop();
  }
}
