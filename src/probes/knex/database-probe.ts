import { multiInject } from 'inversify';
import type { Knex } from 'knex';
import { ReadinessProbe } from '../../discovery/decorators.js';
import { ChecksOutside } from '../../run/outside.js';
import type { Probe, ProbeContext } from '../../probe.js';
import { checkKnex, type CheckKnexOptions } from './check-knex.js';
import { checkEach, DATABASE, resolveDatabases, type DatabaseTarget } from './database.js';

export { checkKnex, DATABASE, type CheckKnexOptions, type DatabaseTarget };
export type { DatabaseAccess } from './access.js';

/** Readiness: every database that is bound to `DATABASE` answers, through its own pool, and takes writes if it must. If some fail, the message names each of them. */
@ChecksOutside('a database')
@ReadinessProbe({ name: 'database' })
export class DatabaseProbe implements Probe {
  readonly #databases: readonly DatabaseTarget[];

  constructor(@multiInject(DATABASE, { chained: true }) databases: readonly (Knex | DatabaseTarget)[]) {
    this.#databases = resolveDatabases('DatabaseProbe', databases);
  }

  check(context: ProbeContext): Promise<void> {
    return checkEach(this.#databases, context, ({ knex, ...options }) => checkKnex(knex, context, options));
  }
}
