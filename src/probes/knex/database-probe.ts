import { inject, multiInject, optional } from 'inversify';
import type { Knex } from 'knex';
import { ReadinessProbe } from '../../discovery/decorators.js';
import { ChecksOutside } from '../../run/outside.js';
import type { Probe, ProbeContext } from '../../probe.js';
import { checkKnex, type CheckKnexOptions } from './check-knex.js';
import { rejectUnknownOptions } from '../../validation.js';
import { countNeeded, type Requirement } from '../shared/quorum.js';
import type { TargetToken } from '../shared/target-token.js';
import { checkTargets } from '../shared/targets.js';
import { checkEach, DATABASE, resolveDatabases, type DatabaseTarget } from './database.js';

export { checkKnex, DATABASE, type CheckKnexOptions, type DatabaseTarget };
export type { DatabaseAccess } from './access.js';

/** Options of `DatabaseProbe`. */
export interface DatabaseProbeOptions {
  /**
   * How many databases must pass: `'all'`, `'any'`, or a whole number from 1 to the number of databases that are bound.
   * @default 'all'
   */
  require?: Requirement | undefined;
}

/** Identifier for the options of `DatabaseProbe`. Bind it to change the defaults: `container.bind(DATABASE_OPTIONS).toConstantValue({ require: 'any' })`. */
export const DATABASE_OPTIONS: TargetToken<DatabaseProbeOptions> = Symbol.for('koa-probes.DATABASE_OPTIONS');

/**
 * A readiness probe. It passes if every database that is bound to `DATABASE`, or as many as `DATABASE_OPTIONS` requires, answers through its own pool. With `access: 'write'`, a database must also accept writes.
 * If all databases are required and some fail, the message names each of the failed ones.
 */
@ChecksOutside('a database')
@ReadinessProbe({ name: 'database' })
export class DatabaseProbe implements Probe {
  readonly #databases: readonly DatabaseTarget[];
  readonly #needed: number;

  constructor(
    @multiInject(DATABASE, { chained: true }) databases: readonly (Knex | DatabaseTarget)[],
    @inject(DATABASE_OPTIONS) @optional() options: DatabaseProbeOptions = {},
  ) {
    this.#databases = resolveDatabases('DatabaseProbe', databases);
    rejectUnknownOptions('DATABASE_OPTIONS', options, ['require']);
    const { require = 'all' } = options;
    this.#needed = countNeeded('DATABASE_OPTIONS', require, databases.length, 'the number of databases bound to DATABASE');
  }

  check(context: ProbeContext): Promise<void> {
    const check = ({ knex, ...options }: DatabaseTarget, one: Pick<ProbeContext, 'signal'>) => checkKnex(knex, one, options);
    const quorum = { needed: this.#needed, noun: 'databases' };
    if (this.#needed < this.#databases.length) return checkTargets(this.#databases, context, check, quorum);
    return checkEach(this.#databases, context, (database) => check(database, context));
  }
}
