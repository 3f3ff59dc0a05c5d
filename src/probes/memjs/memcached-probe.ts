import { inject, multiInject, optional } from 'inversify';
import type { Client } from 'memjs';
import { ReadinessProbe } from '../../discovery/decorators.js';
import { ChecksOutside, noteOutside } from '../../run/outside.js';
import type { Probe, ProbeContext } from '../../probe.js';
import { rejectUnknownOptions } from '../../validation.js';
import { checkMemjs, validateMemjsClient, type CheckMemjsOptions } from './check-memjs.js';
import { countNeeded } from '../shared/quorum.js';
import { checkTargets, requireTargets } from '../shared/targets.js';
import type { TargetToken } from '../shared/target-token.js';

export { checkMemjs, type CheckMemjsOptions, type MemjsClient, type MemjsServer } from './check-memjs.js';

/** Identifier for the memjs clients that `MemcachedProbe` checks. Bind each client: `container.bind(MEMCACHED).toConstantValue(Client.create(…))`. */
export const MEMCACHED: TargetToken<Client> = Symbol.for('koa-probes.MEMCACHED');

/** Identifier for the options of `MemcachedProbe`. Bind it to change the defaults: `container.bind(MEMCACHED_OPTIONS).toConstantValue({ require: 'any' })`. The options apply to each client. */
export const MEMCACHED_OPTIONS: TargetToken<CheckMemjsOptions> = Symbol.for('koa-probes.MEMCACHED_OPTIONS');

/** A readiness probe. It passes if every server of every client that is bound to `MEMCACHED` answers `stats`, or as many servers of each client as `MEMCACHED_OPTIONS` requires. */
@ChecksOutside('memcached')
@ReadinessProbe({ name: 'memcached' })
export class MemcachedProbe implements Probe {
  readonly #clients: readonly Client[];
  readonly #options: CheckMemjsOptions;

  constructor(
    @multiInject(MEMCACHED, { chained: true }) clients: readonly Client[],
    @inject(MEMCACHED_OPTIONS) @optional() options: CheckMemjsOptions = {},
  ) {
    requireTargets('MemcachedProbe', clients, 'MEMCACHED', 'client');
    rejectUnknownOptions('MEMCACHED_OPTIONS', options, ['require']);
    for (const client of clients) {
      validateMemjsClient(client);
      countNeeded('MEMCACHED_OPTIONS', options.require ?? 'all', client.servers.length, 'the number of servers of the client');
    }
    this.#clients = clients;
    this.#options = options;
  }

  async check(context: ProbeContext): Promise<void> {
    noteOutside(context, 'memcached');
    await checkTargets(this.#clients, context, (client, one) => checkMemjs(client, one, this.#options));
  }
}
