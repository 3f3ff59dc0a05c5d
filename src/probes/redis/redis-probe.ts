import { inject, multiInject, optional } from 'inversify';
import { ReadinessProbe } from '../../discovery/decorators.js';
import { ChecksOutside, noteOutside } from '../../run/outside.js';
import type { Probe, ProbeContext } from '../../probe.js';
import type { ProbeData } from '../../report/report.js';
import { rejectUnknownOptions } from '../../validation.js';
import { checkRedis, resolveRedisOptions, validateRedisClient, type CheckRedisOptions, type RedisClient } from './check-redis.js';
import { watchErrors } from './client-errors.js';
import { countNeeded, type Quorum, type Requirement } from '../shared/quorum.js';
import { checkTargets, requireTargets } from '../shared/targets.js';
import type { TargetToken } from '../shared/target-token.js';

export { checkRedis, type CheckRedisOptions, type RedisClient } from './check-redis.js';

/** A client with its own options: `{ client: reader, allowReadOnly: true }`. */
export interface RedisTarget extends CheckRedisOptions {
  /** The client of the application. The check uses its connection. */
  readonly client: RedisClient;
}

/** The methods that close a client. Each client has some of them. With this type, `onDeactivation` can call them on the bound value. */
// oxlint-disable-next-line typescript/no-explicit-any -- only this type lets every client be bound and its own closing method be called
type Closable = { readonly [Method in 'quit' | 'close' | 'destroy' | 'disconnect']?: any };

/** A value that can be bound to `REDIS`: a client, or `{ client, allowReadOnly, … }`. */
export type RedisBinding = (RedisClient | RedisTarget) & Closable;

/**
 * Identifier for the clients that `RedisProbe` checks. Bind each client, `container.bind(REDIS).toConstantValue(new Redis())`, or an object with options: `{ client: new Redis(), allowReadOnly: true }`.
 * Write `container.bind<Redis>(REDIS)` to keep the type of the bound client.
 */
export const REDIS = Symbol.for('koa-probes.REDIS') as symbol & (new () => RedisBinding);

/** Options of `RedisProbe`. */
export interface RedisProbeOptions {
  /**
   * How many of the bound clients must pass: `'all'`, `'any'`, or a whole number from 1 to the number of clients.
   * @default 'all'
   */
  require?: Requirement | undefined;
}

/** Identifier for the options of `RedisProbe`. Bind it to change the defaults: `container.bind(REDIS_OPTIONS).toConstantValue({ require: 'any' })`. */
export const REDIS_OPTIONS: TargetToken<RedisProbeOptions> = Symbol.for('koa-probes.REDIS_OPTIONS');

/**
 * A readiness probe. It passes if every client that is bound to `REDIS`, or as many as `REDIS_OPTIONS` requires, has a master that accepts writes.
 * It uses the connections of the clients.
 */
@ChecksOutside('Redis')
@ReadinessProbe({ name: 'redis' })
export class RedisProbe implements Probe {
  readonly #targets: readonly RedisTarget[];
  readonly #quorum: Quorum | undefined;

  constructor(
    @multiInject(REDIS, { chained: true }) bound: readonly (RedisClient | RedisTarget)[],
    @inject(REDIS_OPTIONS) @optional() options: RedisProbeOptions = {},
  ) {
    requireTargets('RedisProbe', bound, 'REDIS', 'client');
    rejectUnknownOptions('REDIS_OPTIONS', options, ['require']);
    this.#targets = bound.map(resolveTarget);
    const needed = countNeeded('REDIS_OPTIONS', options.require ?? 'all', bound.length, 'the number of clients bound to REDIS');
    // If all clients must pass, the error of one client needs no count.
    this.#quorum = needed === bound.length ? undefined : { needed, noun: 'redis clients' };
  }

  async check(context: ProbeContext): Promise<ProbeData | undefined> {
    noteOutside(context, 'Redis');
    const data: (ProbeData | undefined)[] = [];
    const check = async ({ client, ...options }: RedisTarget, one: Pick<ProbeContext, 'signal'>) => {
      data.push(await checkRedis(client, one, options));
    };
    await checkTargets(this.#targets, context, check, this.#quorum);
    return data.find((one) => one !== undefined);
  }
}

function resolveTarget(bound: RedisClient | RedisTarget): RedisTarget {
  const { client, ...options } = isTarget(bound) ? bound : { client: bound };
  validateRedisClient(client);
  resolveRedisOptions('REDIS', options);
  watchErrors(client);
  return { ...options, client };
}

function isTarget(bound: RedisClient | RedisTarget): bound is RedisTarget {
  return typeof bound === 'object' && bound !== null && Object.getPrototypeOf(bound) === Object.prototype && 'client' in bound;
}
