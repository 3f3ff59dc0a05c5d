import type { ProbeRegistry, ProbeStatus } from '../registry/registry.js';
import { PROBE_KINDS, type ProbeKind } from '../probe.js';
import type { Monitor } from '../run/monitor.js';
import { RUN_OUTCOMES } from '../run/observers.js';
import { DURATION_BUCKETS, RunCounts } from './run-counts.js';

export type Labels = Readonly<Record<string, string>>;

/** The labels of the series of one probe. prom-client caches the text of such an object as long as the object exists, and creating that text is most of the work of a scrape. */
export interface ProbeLabels {
  readonly probe: Labels;
  readonly kinds: Readonly<Record<ProbeKind, Labels>>;
  /** In the order of `RUN_OUTCOMES`. */
  readonly outcomes: readonly Labels[];
  /** In the order of `DURATION_BUCKETS`, with `+Inf` at the end. */
  readonly buckets: readonly Labels[];
}

/** The state of a registry for one scrape. Taking it runs no probe. */
export interface Snapshot {
  readonly statuses: readonly ProbeStatus[];
  readonly monitors: readonly Monitor[];
}

/** One registry as a source of samples, with the labels that are common to all of them. */
export class MetricSource {
  readonly counts: RunCounts;
  readonly #labels = new Map<string, ProbeLabels>();
  #snapshot: Snapshot | undefined;

  constructor(
    readonly probes: ProbeRegistry,
    readonly own: Labels,
  ) {
    this.counts = new RunCounts(probes);
  }

  /** All metrics of one scrape use the same snapshot. */
  get snapshot(): Snapshot {
    if (this.#snapshot === undefined) {
      const statuses = PROBE_KINDS.map((kind) => this.probes.status(kind));
      this.#snapshot = { statuses, monitors: [...this.probes.monitors] };
      this.#dropLabels(statuses);
      queueMicrotask(() => (this.#snapshot = undefined));
    }
    return this.#snapshot;
  }

  labelsOf(probe: string): ProbeLabels {
    let labels = this.#labels.get(probe);
    if (labels === undefined) this.#labels.set(probe, (labels = createLabels({ ...this.own, probe })));
    return labels;
  }

  stop(): void {
    this.counts.stop();
  }

  /** Drops the labels of removed probes. */
  #dropLabels(statuses: readonly ProbeStatus[]): void {
    const names = new Set(statuses.flatMap(({ results, pending }) => results.map(({ name }) => name).concat(pending)));
    if (this.#labels.size > names.size) this.#labels.clear();
  }
}

function createLabels(probe: Labels): ProbeLabels {
  return {
    probe,
    kinds: { liveness: { ...probe, kind: 'liveness' }, readiness: { ...probe, kind: 'readiness' }, startup: { ...probe, kind: 'startup' } },
    outcomes: RUN_OUTCOMES.map((outcome) => Object.assign({ outcome }, probe)),
    buckets: [...DURATION_BUCKETS.map(String), '+Inf'].map((le) => Object.assign({ le }, probe)),
  };
}
