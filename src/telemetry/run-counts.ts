import { performance } from 'node:perf_hooks';
import type { ProbeRegistry } from '../registry/registry.js';
import type { ProbeAnswered, ProbeObserver } from '../registry/observation.js';
import { PROBE_KINDS, type ProbeKind } from '../probe.js';
import type { RunOutcome } from '../run/observers.js';

/** Upper bounds of the buckets for the duration of a run, in seconds. */
export const DURATION_BUCKETS: readonly number[] = [0.005, 0.025, 0.1, 0.5, 1];

/** The counts of one probe. */
export class ProbeCounts {
  readonly outcomes = { pass: 0, fail: 0, timeout: 0 };
  /** Number of runs in each bucket. Each run is in one bucket, and the last bucket has no upper bound. */
  readonly buckets: number[] = Array.from({ length: DURATION_BUCKETS.length + 1 }, () => 0);
  seconds = 0;

  /** When a run last passed, as a reading of `performance.now()`. It is cleared when it is read. */
  lastPassAt: number | undefined;
  #lastPassSeconds: number | undefined;

  /** Unix time in seconds when a run last passed, or undefined. It is computed here because reading the system clock for each run would double the cost of counting. */
  get lastPassSeconds(): number | undefined {
    if (this.lastPassAt !== undefined) this.#lastPassSeconds = (Date.now() - (performance.now() - this.lastPassAt)) / 1_000;
    this.lastPassAt = undefined;
    return this.#lastPassSeconds;
  }
}

export interface AnswerCount {
  readonly kind: ProbeKind;
  readonly code: number;
  count: number;
}

/** Counts the runs and responses of a registry from its creation until it is stopped. */
export class RunCounts implements ProbeObserver {
  readonly stop: () => void;
  /** Of the event loop. */
  readonly blocks = { count: 0, seconds: 0 };
  readonly #probes = new Map<string, ProbeCounts>();
  readonly #answers: Readonly<Record<ProbeKind, Map<number, AnswerCount>>> = {
    liveness: new Map(),
    readiness: new Map(),
    startup: new Map(),
  };

  constructor(probes: ProbeRegistry) {
    // Create these series with 0, so that a rate starts at 0 and a pod without probe requests is visible.
    for (const kind of PROBE_KINDS) for (const code of [200, 503]) this.#answer(kind, code);
    for (const { name, lastResult } of probes.list()) {
      if (lastResult?.status === 'pass') this.of(name).lastPassAt = lastResult.time - (Date.now() - performance.now());
    }
    this.stop = probes.observers.add(this);
  }

  get answers(): Iterable<AnswerCount> {
    return PROBE_KINDS.flatMap((kind) => Array.from(this.#answers[kind].values()));
  }

  /** Starts all counts at 0 again. */
  reset(): void {
    this.#probes.clear();
    for (const answer of this.answers) answer.count = 0;
    this.blocks.count = this.blocks.seconds = 0;
  }

  of(probe: string): ProbeCounts {
    let counts = this.#probes.get(probe);
    if (counts === undefined) this.#probes.set(probe, (counts = new ProbeCounts()));
    return counts;
  }

  onRun(probe: string, outcome: RunOutcome, startedAt: number, endedAt: number): void {
    const counts = this.of(probe);
    const seconds = (endedAt - startedAt) / 1_000;
    counts.outcomes[outcome] += 1;
    counts.buckets[bucketOf(seconds)]! += 1;
    counts.seconds += seconds;
    if (outcome === 'pass') counts.lastPassAt = endedAt;
  }

  onAnswer({ kind, code }: ProbeAnswered): void {
    this.#answer(kind, code).count += 1;
  }

  onBlock(durationMs: number): void {
    this.blocks.count += 1;
    this.blocks.seconds += durationMs / 1_000;
  }

  onRemove(probe: string): void {
    this.#probes.delete(probe);
  }

  #answer(kind: ProbeKind, code: number): AnswerCount {
    let answer = this.#answers[kind].get(code);
    if (answer === undefined) this.#answers[kind].set(code, (answer = { kind, code, count: 0 }));
    return answer;
  }
}

function bucketOf(seconds: number): number {
  let bucket = 0;
  while (bucket < DURATION_BUCKETS.length && seconds > DURATION_BUCKETS[bucket]!) bucket += 1;
  return bucket;
}
