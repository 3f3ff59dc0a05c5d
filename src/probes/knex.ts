import { multiInject, type ServiceIdentifier } from 'inversify';
import type { Knex } from 'knex';
import { ReadinessProbe } from '../decorators.js';
import { ConfigurationError } from '../errors.js';
import { ChecksOutside, noteOutside } from '../outside.js';
import type { Probe, ProbeContext } from '../probe.js';

/** Bind every `Knex` that `DatabaseProbe` is to check: `container.bind(DATABASE).toConstantValue(knex(…))`. */
export const DATABASE: ServiceIdentifier<Knex> = Symbol.for('koa-probes.DATABASE');

/** Readiness: `SELECT 1` on every Knex that is bound to `DATABASE`, through its own pool. */
@ChecksOutside('a database')
@ReadinessProbe({ name: 'database' })
export class DatabaseProbe implements Probe {
  readonly #databases: readonly Knex[];

  constructor(@multiInject(DATABASE, { chained: true }) databases: readonly Knex[]) {
    if (databases.length === 0) {
      throw new ConfigurationError(
        'DatabaseProbe has no database to check: nothing is bound to DATABASE. Call container.bind(DATABASE).toConstantValue(knex).',
      );
    }
    this.#databases = databases;
  }

  async check(context: ProbeContext): Promise<void> {
    await Promise.all(this.#databases.map((database) => checkKnex(database, context)));
  }
}

/** Resolves when the database has answered `SELECT 1`, and rejects with its error. */
export async function checkKnex(knex: Knex, context: Pick<ProbeContext, 'signal'>): Promise<void> {
  noteOutside(context, 'a database');
  // It does not end before its query has: the registry would start the next one on a pool that is full of them.
  await knex.raw('SELECT 1');
}
