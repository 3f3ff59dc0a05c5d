import type { ProbeRegistry, ProbeStatus } from '../registry/registry.js';
import { PROBE_KINDS, type ProbeKind } from '../probe.js';
import type { Monitor } from '../run/monitor.js';
import { RUN_OUTCOMES } from '../run/observers.js';
import { DURATION_BUCKETS, RunCounts } from './run-counts.js';

export type Labels = Readonly<Record<string, string>>;

/** The labels of the series of one probe. prom-client keeps the text of such an object for as long as the object lives, and making that text is most of a scrape. */
export interface ProbeLabels {
  readonly probe: Labels;
  readonly kinds: Readonly<Record<ProbeKind, Labels>>;
  /** By `RUN_OUTCOMES`. */
  readonly outcomes: readonly Labels[];
  /** By `DURATION_BUCKETS`, and `+Inf` at the end. */
  readonly buckets: readonly Labels[];
}

/** What one scrape reads of a registry. It runs no probe. */
export interface Snapshot {
  readonly statuses: readonly ProbeStatus[];
  readonly monitors: readonly Monitor[];
}

/** One registry as a source of samples, with the labels that all of them carry. */
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

  /** All metrics of a scrape tell of the same moment. */
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

  /** Those of probes that are gone. */
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
