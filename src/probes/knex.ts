import { multiInject, type ServiceIdentifier } from 'inversify';
import type { Knex } from 'knex';
import { ReadinessProbe } from '../decorators.js';
import { ConfigurationError } from '../errors.js';
import type { Probe, ProbeContext } from '../probe.js';

/** Bind every `Knex` that `DatabaseProbe` is to check: `container.bind(DATABASE).toConstantValue(knex(…))`. */
export const DATABASE: ServiceIdentifier<Knex> = Symbol.for('koa-probes.DATABASE');

/** Readiness: `SELECT 1` on every Knex that is bound to `DATABASE`, through its own pool. */
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

/** Resolves when the database has answered `SELECT 1`; rejects with its error, or with the signal's reason when that is aborted first. */
export async function checkKnex(knex: Knex, { signal }: Pick<ProbeContext, 'signal'>): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const onAbort = () => reject(signal.reason as Error);
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    void knex
      .raw('SELECT 1')
      .then(() => resolve(), reject)
      .finally(() => signal.removeEventListener('abort', onAbort));
  });
}
