import type { Knex } from 'knex';
import { ConfigurationError, Degraded } from '../../errors.js';
import type { ProbeContext } from '../../probe.js';
import { showType } from '../../validation.js';
import { combineDegraded, describeAll, requireTargets } from '../shared/targets.js';
import type { TargetToken } from '../shared/target-token.js';
import { validateCheckKnexOptions, type CheckKnexOptions } from './check-knex.js';
import { isKnex, validateKnex } from './knex.js';

/** A database to check, with the options of `checkKnex()`. */
export interface DatabaseTarget extends CheckKnexOptions {
  /** The Knex instance of the application. The check uses its pool. */
  knex: Knex;
}

/**
 * Identifier for the databases that `DatabaseProbe` and `MigrationsProbe` check. Bind each one: `container.bind(DATABASE).toConstantValue({ knex, access: 'write' })`.
 * A Knex instance can be bound without options. Such a database must answer, but it may be read-only.
 */
export const DATABASE: TargetToken<Knex | DatabaseTarget> = Symbol.for('koa-probes.DATABASE');

/** Returns each database that is bound to `DATABASE` as a target. */
export function resolveDatabases(probe: string, bound: readonly (Knex | DatabaseTarget)[]): DatabaseTarget[] {
  requireTargets(probe, bound, 'DATABASE', "{ knex, access: 'write' }");
  return bound.map((one) => {
    const target = toTarget(one);
    const { knex, ...options } = target;
    validateKnex(knex);
    validateCheckKnexOptions('a database bound to DATABASE', knex, options);
    return target;
  });
}

function toTarget(bound: Knex | DatabaseTarget): DatabaseTarget {
  if (isKnex(bound)) return { knex: bound as Knex };
  if (typeof bound === 'object' && bound !== null && 'knex' in bound) return bound;
  throw new ConfigurationError(
    `Expected a Knex instance, got ${showType(bound)}. Bind the return value of \`knex(config)\`, or an object with options: \`{ knex, access: 'write' }\`.`,
  );
}

/** Checks all databases at the same time and waits for each, so that the message names every database that failed. */
export async function checkEach(
  databases: readonly DatabaseTarget[],
  { signal }: Pick<ProbeContext, 'signal'>,
  check: (database: DatabaseTarget) => Promise<void>,
): Promise<void> {
  const outcomes = await Promise.allSettled(databases.map(check));
  const failures = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []));
  if (failures.length === 0) return;
  if (databases.length === 1) throw failures[0];
  // If a database has failed, degraded ones do not matter.
  const worst = failures.every(Degraded.is) ? failures : failures.filter((failure) => !Degraded.is(failure));
  if (worst.every(Degraded.is)) throw combineDegraded(worst);
  throw new Error(`${String(worst.length)} of ${String(databases.length)} databases failed: ${describeAll(worst, signal)}`);
}
