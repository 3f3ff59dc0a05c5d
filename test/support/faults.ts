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
  /** The longest that recovery may take after `end`, in milliseconds: the timeout and one period of the kubelet's default. */
  readonly recoversWithinMs?: number;
}

/** Generous: what a noisy machine adds to a time that the probe has promised. */
const NOISE_MS = 2_000;

/**
 * Stages a fault on a probe that passes: it must fail in time with the reason, and pass again by itself once the fault is over.
 * What was measured goes into the table of docs/faults.md.
 */
export async function stageFault(
  { registry, probe, fault, begin, end, reason, recoversWithinMs = 11_000 }: Fault,
  timeoutMs = 800,
): Promise<void> {
  await until(async () => (await ask(registry, probe)).status === 'pass');
  await begin();
  let failed: ProbeResult;
  let answeredMs: number;
  try {
    const askedAt = performance.now();
    failed = await until(async () => {
      const result = await ask(registry, probe);
      return result.status === 'fail' ? result : undefined;
    });
    answeredMs = failed.durationMs;
    expect(performance.now() - askedAt).to.be.below(timeoutMs + NOISE_MS);
    expect(describe(failed)).to.match(reason);
  } finally {
    await end?.();
  }
  let recoveredMs: number | undefined;
  if (end !== undefined) {
    const endedAt = performance.now();
    await until(async () => (await ask(registry, probe)).status === 'pass', recoversWithinMs + NOISE_MS);
    recoveredMs = performance.now() - endedAt;
  }
  mkdirSync(folder, { recursive: true });
  const row = {
    probe,
    fault,
    answer: describe(failed),
    answeredMs: Math.round(answeredMs),
    recoveredMs: recoveredMs && Math.round(recoveredMs),
  };
  writeFileSync(`${folder}${`${probe} ${fault}`.replace(/\W+/g, '-')}.json`, JSON.stringify(row));
}

async function ask(registry: ProbeRegistry, probe: string): Promise<ProbeResult> {
  const kind = registry.has('readiness', probe) ? 'readiness' : 'liveness';
  const [result] = (await registry.run(kind, { only: probe })).results;
  if (result === undefined) throw new Error(`There is no ${probe}.`);
  return result;
}

const describe = ({ failure }: ProbeResult) => failure?.detail ?? '';
