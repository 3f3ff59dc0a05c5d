import type { Knex } from 'knex';
import { ConfigurationError, Degraded } from '../../errors.js';
import type { ProbeContext } from '../../probe.js';
import { showType } from '../../validation.js';
import { combineDegraded, describeAll, requireTargets } from '../shared/targets.js';
import type { TargetToken } from '../shared/target-token.js';
import { validateCheckKnexOptions, type CheckKnexOptions } from './check-knex.js';
import { isKnex, validateKnex } from './knex.js';

/** A database, and what the application needs of it. */
export interface DatabaseTarget extends CheckKnexOptions {
  knex: Knex;
}

/**
 * Bind every database that `DatabaseProbe` and `MigrationsProbe` are to check: `container.bind(DATABASE).toConstantValue({ knex, access: 'write' })`.
 * A Knex without anything around it is one that must answer, and may be read-only.
 */
export const DATABASE: TargetToken<Knex | DatabaseTarget> = Symbol.for('koa-probes.DATABASE');

/** What was bound to `DATABASE`, each as a target. */
export function resolveDatabases(probe: string, bound: readonly (Knex | DatabaseTarget)[]): DatabaseTarget[] {
  requireTargets(probe, bound, 'DATABASE', "{ knex, access: 'write' }");
  return bound.map((one) => {
    const target = toTarget(one);
    const { knex, ...options } = target;
    validateKnex(knex);
    validateCheckKnexOptions('a database that is bound to DATABASE', knex, options);
    return target;
  });
}

function toTarget(bound: Knex | DatabaseTarget): DatabaseTarget {
  if (isKnex(bound)) return { knex: bound as Knex };
  if (typeof bound === 'object' && bound !== null && 'knex' in bound) return bound;
  throw new ConfigurationError(
    `Expected a Knex, got ${showType(bound)}. Bind what \`knex(config)\` gives. With what it is for: \`{ knex, access: 'write' }\`.`,
  );
}

/** Checks all of them together, and waits for each, so that the message says every one that failed. */
export async function checkEach(
  databases: readonly DatabaseTarget[],
  { signal }: Pick<ProbeContext, 'signal'>,
  check: (database: DatabaseTarget) => Promise<void>,
): Promise<void> {
  const outcomes = await Promise.allSettled(databases.map(check));
  const failures = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []));
  if (failures.length === 0) return;
  if (databases.length === 1) throw failures[0];
  // Where one has failed, those that are degraded matter no more.
  const worst = failures.every(Degraded.is) ? failures : failures.filter((failure) => !Degraded.is(failure));
  if (worst.every(Degraded.is)) throw combineDegraded(worst);
  throw new Error(`${String(worst.length)} of ${String(databases.length)} databases failed: ${describeAll(worst, signal)}`);
}
