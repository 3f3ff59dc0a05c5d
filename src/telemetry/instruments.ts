import type { Attributes, BatchObservableResult, Meter } from '@opentelemetry/api';
import { LIFECYCLE_STATES } from '../lifecycle/lifecycle.js';
import type { ProbeRegistry, ProbeStatus } from '../registry/registry.js';
import { PROBE_KINDS, type ProbeKind } from '../probe.js';
import { RUN_OUTCOMES } from '../run/observers.js';
import { PROBE_KIND, PROBE_NAME, PROBE_STATE, RUN_OUTCOME } from './attributes.js';
import { DURATION_BUCKETS, RunCounts } from './run-counts.js';

const PROBE_STATES = ['pass', 'warn', 'fail', 'unknown'] as const;

/** Creates the instruments of a registry. Reading them runs no probe. The function that it returns ends them. */
export function createInstruments(meter: Meter, probes: ProbeRegistry): () => void {
  const counts = new RunCounts(probes);
  const instruments = {
    kindUp: meter.createObservableGauge('koa_probes.kind.up', {
      description: 'Whether the kind of probe passes or is degraded (1) or fails (0), by the last results.',
    }),
    status: meter.createObservableUpDownCounter('koa_probes.probe.status', {
      description: 'The status of the probe after its thresholds: 1 for the state that it is in, 0 for the others.',
    }),
    runs: meter.createObservableCounter('koa_probes.runs', {
      description: 'Runs of the check that have ended, by outcome, before thresholds.',
      unit: '{run}',
    }),
    shared: meter.createObservableCounter('koa_probes.runs.shared', {
      description: 'Requests that joined a run in flight instead of beginning one.',
      unit: '{request}',
    }),
    hanging: meter.createObservableUpDownCounter('koa_probes.runs.hanging', {
      description: 'Runs that were abandoned at their timeout and have not settled yet.',
      unit: '{run}',
    }),
    lastPass: meter.createObservableGauge('koa_probes.last_pass.timestamp', {
      description: 'When a run of the check passed last, since 1970.',
      unit: 's',
    }),
    lifecycle: meter.createObservableUpDownCounter('koa_probes.lifecycle.state', {
      description: 'The state of the application: 1 for the state that it is in, 0 for the others.',
    }),
  };
  const duration = meter.createHistogram('koa_probes.run.duration', {
    description: 'Time from the beginning of a run to its outcome, at most the timeout of the probe.',
    unit: 's',
    advice: { explicitBucketBoundaries: [...DURATION_BUCKETS] },
  });
  /** What was told of, so that a probe that is taken out does not stay in its last state. */
  const told = new Map<string, Attributes>();

  const observeStatus = (result: BatchObservableResult, probe: string, kind: ProbeKind, current: string | undefined): void => {
    for (const state of PROBE_STATES) {
      result.observe(instruments.status, state === current ? 1 : 0, { [PROBE_NAME]: probe, [PROBE_KIND]: kind, [PROBE_STATE]: state });
    }
  };

  const observe = (result: BatchObservableResult): void => {
    const gone = new Map(told);
    told.clear();
    for (const status of PROBE_KINDS.map((kind) => probes.status(kind))) {
      if (status.status !== 'unknown') result.observe(instruments.kindUp, status.status === 'fail' ? 0 : 1, { [PROBE_KIND]: status.kind });
      for (const [probe, state] of statesOf(status)) {
        observeStatus(result, probe, status.kind, state);
        const key = `${status.kind} ${probe}`;
        told.set(key, { [PROBE_NAME]: probe, [PROBE_KIND]: status.kind });
        gone.delete(key);
      }
    }
    for (const { [PROBE_NAME]: probe, [PROBE_KIND]: kind } of gone.values()) {
      observeStatus(result, String(probe), kind as ProbeKind, undefined);
      if (!probes.has(kind as ProbeKind, String(probe))) result.observe(instruments.hanging, 0, { [PROBE_NAME]: String(probe) });
    }
    for (const { name, sharedRuns, hangingRuns } of probes.monitors) {
      const attributes = { [PROBE_NAME]: name };
      const { outcomes, lastPassSeconds } = counts.of(name);
      for (const outcome of RUN_OUTCOMES) result.observe(instruments.runs, outcomes[outcome], { ...attributes, [RUN_OUTCOME]: outcome });
      result.observe(instruments.shared, sharedRuns, attributes);
      result.observe(instruments.hanging, hangingRuns, attributes);
      if (lastPassSeconds !== undefined) result.observe(instruments.lastPass, lastPassSeconds, attributes);
    }
    for (const state of LIFECYCLE_STATES) {
      result.observe(instruments.lifecycle, probes.lifecycle.state === state ? 1 : 0, { 'koa_probes.lifecycle.state': state });
    }
  };

  const all = Object.values(instruments);
  meter.addBatchObservableCallback(observe, all);
  const stopDurations = probes.observers.add({
    onRun: (probe, _outcome, startedAt, endedAt) => duration.record((endedAt - startedAt) / 1_000, { [PROBE_NAME]: probe }),
  });
  return () => {
    meter.removeBatchObservableCallback(observe, all);
    stopDurations();
    counts.stop();
  };
}

function statesOf({ results, pending }: ProbeStatus): (readonly [probe: string, state: string])[] {
  return [...results.map(({ name, status }) => [name, status] as const), ...pending.map((name) => [name, 'unknown'] as const)];
}
