import { multiInject } from 'inversify';
import type { Knex } from 'knex';
import { ReadinessProbe } from '../../discovery/decorators.js';
import { ChecksOutside } from '../../run/outside.js';
import type { Probe, ProbeContext } from '../../probe.js';
import { checkMigrations, type CheckMigrationsOptions } from './check-migrations.js';
import { checkEach, DATABASE, resolveDatabases, type DatabaseTarget } from './database.js';

export { checkMigrations, DATABASE, type CheckMigrationsOptions, type DatabaseTarget };

/** A readiness probe. It passes if no migration is pending in any database that is bound to `DATABASE`. It uses the migration settings of each Knex instance and creates nothing. */
@ChecksOutside('a database')
@ReadinessProbe({ name: 'migrations' })
export class MigrationsProbe implements Probe {
  readonly #databases: readonly DatabaseTarget[];

  constructor(@multiInject(DATABASE, { chained: true }) databases: readonly (Knex | DatabaseTarget)[]) {
    this.#databases = resolveDatabases('MigrationsProbe', databases);
  }

  check(context: ProbeContext): Promise<void> {
    return checkEach(this.#databases, context, ({ knex, name }) => checkMigrations(knex, context, { name }));
  }
}
