import type { Attributes, BatchObservableResult, Meter } from '@opentelemetry/api';
import { LIFECYCLE_STATES } from '../lifecycle/lifecycle.js';
import type { ProbeRegistry } from '../registry/registry.js';
import { PROBE_KINDS, type ProbeKind } from '../probe.js';
import { RUN_OUTCOMES } from '../run/observers.js';
import { LIFECYCLE_STATE, PROBE_KIND, PROBE_NAME, PROBE_STATE, RUN_OUTCOME } from './attributes.js';
import { DURATION_BUCKETS, RunCounts } from './run-counts.js';

const PROBE_STATES = ['pass', 'warn', 'fail', 'unknown'] as const;

/** Creates the instruments of a registry. Reading them runs no probe. The returned function removes them. */
export function createInstruments(meter: Meter, probes: ProbeRegistry, base: Attributes): () => void {
  const counts = new RunCounts(probes);
  const instruments = createObservables(meter);
  const duration = meter.createHistogram('koa_probes.run.duration', {
    description: 'Time from the start of a run to its outcome, at most the timeout of the probe.',
    unit: 's',
    advice: { explicitBucketBoundaries: [...DURATION_BUCKETS] },
  });
  const stopDurations = probes.observers.add({
    onRun: (probe, _outcome, startedAt, endedAt) => duration.record((endedAt - startedAt) / 1_000, { ...base, [PROBE_NAME]: probe }),
  });
  const reader = new Reader(probes, counts, instruments, base);
  const all = Object.values(instruments);
  meter.addBatchObservableCallback(reader.read, all);
  return () => {
    meter.removeBatchObservableCallback(reader.read, all);
    stopDurations();
    counts.stop();
  };
}

type Observables = ReturnType<typeof createObservables>;

function createObservables(meter: Meter) {
  return {
    kindUp: meter.createObservableGauge('koa_probes.kind.up', {
      description: 'The status of the kind by the last results: 1 if it passes or is degraded, 0 if it fails.',
    }),
    status: meter.createObservableUpDownCounter('koa_probes.probe.status', {
      description: 'The status of the probe after thresholds: 1 for its current state, 0 for the others.',
    }),
    runs: meter.createObservableCounter('koa_probes.runs', {
      description: 'Finished runs of the check, by outcome, before thresholds.',
      unit: '{run}',
    }),
    shared: meter.createObservableCounter('koa_probes.runs.shared', {
      description: 'Requests that joined a run in flight instead of starting one.',
      unit: '{request}',
    }),
    hanging: meter.createObservableUpDownCounter('koa_probes.runs.hanging', {
      description: 'Runs that were abandoned at their timeout and have not settled yet.',
      unit: '{run}',
    }),
    lastPass: meter.createObservableGauge('koa_probes.last_pass.timestamp', {
      description: 'Unix time of the last run that passed.',
      unit: 's',
    }),
    blocks: meter.createObservableCounter('koa_probes.event_loop.blocks', {
      description: 'Blocks of the event loop that were longer than `notReadyAfterMs`, once they are over. Only a thread sees them.',
      unit: '{block}',
    }),
    blockedTime: meter.createObservableCounter('koa_probes.event_loop.blocked_time', {
      description: 'Time in which the event loop was blocked, by the blocks that are counted.',
      unit: 's',
    }),
    lifecycle: meter.createObservableUpDownCounter('koa_probes.lifecycle.state', {
      description: 'The state of the application: 1 for its current state, 0 for the others.',
    }),
  };
}

/** Writes the state of a registry to the instruments. */
class Reader {
  /** The probes that the last reading has reported. */
  #told = new Map<string, readonly [probe: string, kind: ProbeKind]>();

  constructor(
    private readonly probes: ProbeRegistry,
    private readonly counts: RunCounts,
    private readonly instruments: Observables,
    /** Attributes of every value. */
    private readonly base: Attributes,
  ) {}

  readonly read = (values: BatchObservableResult): void => {
    const result: BatchObservableResult = {
      observe: (instrument, value, attributes) => values.observe(instrument, value, { ...this.base, ...attributes }),
    };
    this.#readStatuses(result);
    this.#readCounts(result);
    result.observe(this.instruments.blocks, this.counts.blocks.count);
    result.observe(this.instruments.blockedTime, this.counts.blocks.seconds);
    const { state } = this.probes.lifecycle;
    for (const one of LIFECYCLE_STATES) result.observe(this.instruments.lifecycle, one === state ? 1 : 0, { [LIFECYCLE_STATE]: one });
  };

  #readStatuses(result: BatchObservableResult): void {
    const gone = this.#told;
    this.#told = new Map();
    for (const kind of PROBE_KINDS) {
      const { status, results, pending } = this.probes.status(kind);
      if (status !== 'unknown') result.observe(this.instruments.kindUp, status === 'fail' ? 0 : 1, { [PROBE_KIND]: kind });
      const states = [
        ...results.map(({ name, status: state }) => [name, state] as const),
        ...pending.map((name) => [name, 'unknown'] as const),
      ];
      for (const [probe, state] of states) {
        this.#observeState(result, probe, kind, state);
        this.#told.set(`${kind} ${probe}`, [probe, kind]);
        gone.delete(`${kind} ${probe}`);
      }
    }
    // The SDK keeps the last value of a series. Report 0 for removed probes, so that they do not stay in their last state.
    for (const [probe, kind] of gone.values()) {
      this.#observeState(result, probe, kind, undefined);
      result.observe(this.instruments.hanging, 0, { [PROBE_NAME]: probe });
    }
  }

  #observeState(result: BatchObservableResult, probe: string, kind: ProbeKind, current: string | undefined): void {
    for (const state of PROBE_STATES) {
      const attributes = { [PROBE_NAME]: probe, [PROBE_KIND]: kind, [PROBE_STATE]: state };
      result.observe(this.instruments.status, state === current ? 1 : 0, attributes);
    }
  }

  #readCounts(result: BatchObservableResult): void {
    const { runs, shared, hanging, lastPass } = this.instruments;
    for (const { name, sharedRuns, hangingRuns } of this.probes.monitors) {
      const attributes = { [PROBE_NAME]: name };
      const { outcomes, lastPassSeconds } = this.counts.of(name);
      for (const outcome of RUN_OUTCOMES) result.observe(runs, outcomes[outcome], { ...attributes, [RUN_OUTCOME]: outcome });
      result.observe(shared, sharedRuns, attributes);
      result.observe(hanging, hangingRuns, attributes);
      if (lastPassSeconds !== undefined) result.observe(lastPass, lastPassSeconds, attributes);
    }
  }
}
