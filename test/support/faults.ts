import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import type { ProbeRegistry, ProbeResult } from 'koa-probes';
import { until } from './processes.js';

const folder = fileURLToPath(new URL('../../faults/', import.meta.url));

/** A fault that a test stages, and what the probe must make of it. */
export interface Fault {
  readonly registry: ProbeRegistry;
  /** Name of the probe. */
  readonly probe: string;
  /** What goes wrong, as the table in docs/faults.md says it: `the server is frozen`. */
  readonly fault: string;
  readonly begin: () => unknown;
  /** Mends it. Left out where the fault is one of configuration. */
  readonly end?: () => unknown;
  /** What the operator reads. */
  readonly reason: RegExp;
  /**
   * The longest that recovery may take after `end`, in milliseconds.
   * @default the timeout and one period, and no more than that
   */
  readonly recoversWithinMs?: number;
  /** What must happen by itself after `end` before a run can pass, in words. Left out where the very first run must: to a kubelet each run is a period. */
  readonly waitsFor?: string;
}

/** Of a probe, by default. */
const TIMEOUT_MS = 800;

/** Of the kubelet, by default. No fault makes a probe wrong for longer than its timeout and one period. */
const PERIOD_MS = 10_000;

/** Generous: what a noisy machine adds to a time that the probe has promised. */
const NOISE_MS = 2_000;

/**
 * Stages a fault on a probe that passes: it must fail in time with the reason, and pass again by itself once the fault is over.
 * What was measured goes into the table of docs/faults.md.
 */
export async function stageFault({ registry, probe, fault, begin, end, reason, recoversWithinMs, waitsFor }: Fault): Promise<void> {
  const wrongWithinMs = TIMEOUT_MS + PERIOD_MS;
  expect(recoversWithinMs ?? 0).to.be.at.most(wrongWithinMs);
  await until(async () => (await ask(registry, probe)).status === 'pass');
  const beganAt = performance.now();
  let failed: ProbeResult;
  let answeredMs: number;
  try {
    await begin();
    const askedAt = performance.now();
    failed = await until(async () => {
      const result = await ask(registry, probe);
      return result.status === 'fail' ? result : undefined;
    });
    answeredMs = failed.durationMs;
    expect(performance.now() - askedAt).to.be.below(TIMEOUT_MS + NOISE_MS);
    // What it takes to stage the fault is part of it.
    expect(performance.now() - beganAt).to.be.below(wrongWithinMs + NOISE_MS);
    expect(describe(failed)).to.match(reason);
  } finally {
    await end?.();
  }
  let recoveredMs: number | undefined;
  const failures: string[] = [];
  if (end !== undefined) {
    const endedAt = performance.now();
    const isUp = async () => {
      const result = await ask(registry, probe);
      if (result.status === 'pass') return true;
      failures.push(describe(result));
      return false;
    };
    await until(isUp, (recoversWithinMs ?? wrongWithinMs) + NOISE_MS);
    recoveredMs = performance.now() - endedAt;
    expect(recoveredMs).to.be.below((recoversWithinMs ?? wrongWithinMs) + NOISE_MS);
    if (waitsFor === undefined) expect(failures, 'runs that failed after the fault').to.deep.equal([]);
  }
  note({ probe, fault, answer: describe(failed), answeredMs, recoveredMs, runsToRecover: failures.length + 1, waitsFor });
}

/** Stages what is no fault to the probe: it must pass before and after. */
export async function stageHarmless({
  registry,
  probe,
  fault,
  begin,
}: Pick<Fault, 'registry' | 'probe' | 'fault' | 'begin'>): Promise<void> {
  await until(async () => (await ask(registry, probe)).status === 'pass');
  await begin();
  const { status, durationMs } = await ask(registry, probe);
  expect(status).to.equal('pass');
  note({ probe, fault, answeredMs: durationMs });
}

interface Row {
  readonly probe: string;
  readonly fault: string;
  /** Left out where the probe passes. */
  readonly answer?: string;
  readonly answeredMs: number;
  readonly recoveredMs?: number | undefined;
  readonly runsToRecover?: number;
  readonly waitsFor?: string | undefined;
}

function note({ answeredMs, recoveredMs, ...rest }: Row): void {
  mkdirSync(folder, { recursive: true });
  const { probe, fault } = rest;
  const row = { ...rest, answeredMs: Math.round(answeredMs), recoveredMs: recoveredMs && Math.round(recoveredMs) };
  writeFileSync(`${folder}${`${probe} ${fault}`.replace(/\W+/g, '-')}.json`, JSON.stringify(row));
}

async function ask(registry: ProbeRegistry, probe: string): Promise<ProbeResult> {
  const kind = registry.has('readiness', probe) ? 'readiness' : 'liveness';
  const [result] = (await registry.run(kind, { only: probe })).results;
  if (result === undefined) throw new Error(`There is no ${probe}.`);
  return result;
}

const describe = ({ failure }: ProbeResult) => failure?.detail ?? '';
