import type { ServiceIdentifier } from 'inversify';
import type { Knex } from 'knex';
import { ConfigurationError, describeError } from '../errors.js';

/** Bind every `Knex` that `DatabaseProbe` and `MigrationsProbe` are to check: `container.bind(DATABASE).toConstantValue(knex(…))`. */
export const DATABASE: ServiceIdentifier<Knex> = Symbol.for('koa-probes.DATABASE');

export function rejectNoDatabase(probe: string, databases: readonly Knex[]): void {
  if (databases.length > 0) return;
  throw new ConfigurationError(
    `${probe} has no database to check: nothing is bound to DATABASE. Call container.bind(DATABASE).toConstantValue(knex).`,
  );
}

/** Checks all of them together, and waits for each, so that the message says every one that failed. */
export async function checkEach(databases: readonly Knex[], check: (database: Knex) => Promise<void>): Promise<void> {
  const outcomes = await Promise.allSettled(databases.map(check));
  const failures = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []));
  if (failures.length === 0) return;
  if (databases.length === 1) throw failures[0];
  throw new Error(`${String(failures.length)} of ${String(databases.length)} databases failed: ${failures.map(describeError).join('; ')}`);
}
