import type { Knex } from 'knex';
import { ConfigurationError } from '../../errors.js';
import type { ProbeContext } from '../../probe.js';
import { showType } from '../../validation.js';
import { describeAll, requireTargets } from '../shared/targets.js';
import type { TargetToken } from '../shared/target-token.js';

/** Bind every `Knex` that `DatabaseProbe` and `MigrationsProbe` are to check: `container.bind(DATABASE).toConstantValue(knex(…))`. */
export const DATABASE: TargetToken<Knex> = Symbol.for('koa-probes.DATABASE');

export function validateDatabases(probe: string, databases: readonly Knex[]): void {
  requireTargets(probe, databases, 'DATABASE', 'knex');
  databases.forEach(validateKnex);
}

export function validateKnex(knex: unknown): void {
  if (typeof knex === 'function' && 'client' in knex && 'raw' in knex) return;
  throw new ConfigurationError(`Expected a Knex, got ${showType(knex)}. Bind what \`knex(config)\` gives.`);
}

/** Checks all of them together, and waits for each, so that the message says every one that failed. */
export async function checkEach(
  databases: readonly Knex[],
  { signal }: Pick<ProbeContext, 'signal'>,
  check: (database: Knex) => Promise<void>,
): Promise<void> {
  const outcomes = await Promise.allSettled(databases.map(check));
  const failures = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []));
  if (failures.length === 0) return;
  if (databases.length === 1) throw failures[0];
  throw new Error(`${String(failures.length)} of ${String(databases.length)} databases failed: ${describeAll(failures, signal)}`);
}
