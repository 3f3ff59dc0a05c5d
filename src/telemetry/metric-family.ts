import { LIFECYCLE_STATES } from '../lifecycle/lifecycle.js';
import type { ProbeResult } from '../report/report.js';
import type { Monitor } from '../run/monitor.js';
import { RUN_OUTCOMES } from '../run/observers.js';
import type { Labels, MetricSource } from './metric-source.js';

/** A sample in the form that the registry of prom-client writes. prom-client caches the text of the shared labels from scrape to scrape. */
export interface Sample {
  readonly value: number;
  readonly labels: Labels;
  readonly sharedLabels: Labels;
  readonly metricName?: string;
}

/** One metric and how it is read. */
export interface MetricDefinition {
  readonly name: string;
  readonly help: string;
  readonly type: 'gauge' | 'counter' | 'histogram';
  /** How prom-client combines the values of several processes (`node:cluster`). */
  readonly aggregator: 'sum' | 'min' | 'max';
  read(source: MetricSource): Sample[];
}

const NO_LABELS: Labels = {};
const DURATION = 'koa_probes_run_duration_seconds';

export const METRICS: readonly MetricDefinition[] = [
  {
    name: 'koa_probes_kind_up',
    help: 'The status of the kind by the last results: 1 if it passes or is degraded, 0 if it fails. Missing while no result is known.',
    type: 'gauge',
    aggregator: 'min',
    read: (source) =>
      source.snapshot.statuses
        .filter(({ status }) => status !== 'unknown')
        .map(({ kind, status }) => ({ value: status === 'fail' ? 0 : 1, labels: { kind }, sharedLabels: source.own })),
  },
  {
    name: 'koa_probes_probe_up',
    help: 'The status of the probe by its last result and its thresholds: 1 if it passes or is degraded, 0 if it fails. Missing before its first run.',
    type: 'gauge',
    aggregator: 'min',
    read: (source) => readResults(source, ({ status }) => status !== 'fail'),
  },
  {
    name: 'koa_probes_probe_degraded',
    help: '1 if the probe is degraded: it reports this itself, or its failure is tolerated. Missing before its first run.',
    type: 'gauge',
    aggregator: 'max',
    read: (source) => readResults(source, ({ status }) => status === 'warn'),
  },
  {
    name: 'koa_probes_runs_total',
    help: 'Finished runs of the check, by outcome, before thresholds.',
    type: 'counter',
    aggregator: 'sum',
    read: (source) =>
      source.snapshot.monitors.flatMap(({ name }) => {
        const { outcomes } = source.counts.of(name);
        const labels = source.labelsOf(name).outcomes;
        return RUN_OUTCOMES.map((outcome, at) => toSample(outcomes[outcome], labels[at]));
      }),
  },
  {
    name: DURATION,
    help: 'Time from the start of a run to its outcome, at most the timeout of the probe.',
    type: 'histogram',
    aggregator: 'sum',
    read: (source) => source.snapshot.monitors.flatMap(({ name }) => readDurations(source, name)),
  },
  {
    name: 'koa_probes_runs_shared_total',
    help: 'Requests that joined a run in flight instead of starting one.',
    type: 'counter',
    aggregator: 'sum',
    read: (source) => readMonitors(source, ({ sharedRuns }) => sharedRuns),
  },
  {
    name: 'koa_probes_runs_hanging',
    help: 'Runs that were abandoned at their timeout and have not settled yet.',
    type: 'gauge',
    aggregator: 'sum',
    read: (source) => readMonitors(source, ({ hangingRuns }) => hangingRuns),
  },
  {
    name: 'koa_probes_answers_total',
    help: 'HTTP responses to probes, by kind and status code.',
    type: 'counter',
    aggregator: 'sum',
    read: (source) =>
      Array.from(source.counts.answers, ({ kind, code, count }) => ({
        value: count,
        labels: { kind, code: String(code) },
        sharedLabels: source.own,
      })),
  },
  {
    name: 'koa_probes_last_pass_timestamp_seconds',
    help: 'Unix time of the last run that passed, in seconds. Missing before the first pass.',
    type: 'gauge',
    aggregator: 'max',
    read: (source) => readMonitors(source, ({ name }) => source.counts.of(name).lastPassSeconds),
  },
  {
    name: 'koa_probes_event_loop_blocks_total',
    help: 'Blocks of the event loop that were longer than `notReadyAfterMs`, once they are over. Only a thread sees them.',
    type: 'counter',
    aggregator: 'sum',
    read: ({ counts, own }) => [toSample(counts.blocks.count, own)],
  },
  {
    name: 'koa_probes_event_loop_blocked_seconds_total',
    help: 'Time in which the event loop was blocked, by the blocks that are counted.',
    type: 'counter',
    aggregator: 'sum',
    read: ({ counts, own }) => [toSample(counts.blocks.seconds, own)],
  },
  {
    name: 'koa_probes_lifecycle',
    help: 'The state of the application: 1 for its current state, 0 for the others.',
    type: 'gauge',
    aggregator: 'sum',
    read: (source) =>
      LIFECYCLE_STATES.map((state) => ({
        value: source.probes.lifecycle.state === state ? 1 : 0,
        labels: { state },
        sharedLabels: source.own,
      })),
  },
];

/** Label names that the library uses itself. */
export const LABEL_NAMES: readonly string[] = ['probe', 'kind', 'outcome', 'code', 'state', 'le'];

/** Passes all labels as shared labels, because the same object is used again in the next scrape. */
function toSample(value: number, sharedLabels: Labels = NO_LABELS, metricName?: string): Sample {
  return metricName === undefined ? { value, labels: NO_LABELS, sharedLabels } : { value, labels: NO_LABELS, sharedLabels, metricName };
}

function readResults(source: MetricSource, isOn: (result: ProbeResult) => boolean): Sample[] {
  return source.snapshot.statuses.flatMap(({ kind, results }) =>
    results.map((result) => toSample(isOn(result) ? 1 : 0, source.labelsOf(result.name).kinds[kind])),
  );
}

function readMonitors(source: MetricSource, read: (monitor: Monitor) => number | undefined): Sample[] {
  const samples: Sample[] = [];
  for (const monitor of source.snapshot.monitors) {
    const value = read(monitor);
    if (value !== undefined) samples.push(toSample(value, source.labelsOf(monitor.name).probe));
  }
  return samples;
}

function readDurations(source: MetricSource, name: string): Sample[] {
  const { buckets, seconds } = source.counts.of(name);
  const labels = source.labelsOf(name);
  let runs = 0;
  const samples = buckets.map((count, at) => toSample((runs += count), labels.buckets[at], `${DURATION}_bucket`));
  samples.push(toSample(seconds, labels.probe, `${DURATION}_sum`), toSample(runs, labels.probe, `${DURATION}_count`));
  return samples;
}

/** An object that the registry of prom-client accepts as a metric. One metric contains the values of all probe registries of the process. */
export class MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly type: MetricDefinition['type'];
  readonly aggregator: MetricDefinition['aggregator'];
  readonly sources = new Set<MetricSource>();

  constructor(private readonly definition: MetricDefinition) {
    this.name = definition.name;
    this.help = definition.help;
    this.type = definition.type;
    this.aggregator = definition.aggregator;
  }

  /** Returns the labels of each sample in one object, like prom-client's own metrics. */
  async get(): Promise<object> {
    const values = this.#samples().map(({ sharedLabels, ...sample }) =>
      Object.assign(sample, { labels: Object.assign({}, sample.labels, sharedLabels) }),
    );
    return { ...this.#description, values };
  }

  getForPromString(): object {
    return { ...this.#description, values: this.#samples() };
  }

  /** Called by `resetMetrics()` of prom-client. */
  reset(): void {
    for (const { counts } of this.sources) counts.reset();
  }

  #samples(): Sample[] {
    return [...this.sources].flatMap((source) => this.definition.read(source));
  }

  get #description(): object {
    const { name, help, type, aggregator } = this;
    return { name, help, type, aggregator };
  }
}
