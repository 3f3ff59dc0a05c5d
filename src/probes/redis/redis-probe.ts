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

/** A client with options of its own: `{ client: reader, allowReadOnly: true }`. */
export interface RedisTarget extends CheckRedisOptions {
  readonly client: RedisClient;
}

/** The methods that close a client, of which each client has some: `onDeactivation` can call them on what is bound. */
// oxlint-disable-next-line typescript/no-explicit-any -- a binding has one type, and no type but this lets each client be bound and have its own method called
type Closable = { readonly [Method in 'quit' | 'close' | 'destroy' | 'disconnect']?: any };

/** What `REDIS` stands for: a client, or `{ client, allowReadOnly, … }`. */
export type RedisBinding = (RedisClient | RedisTarget) & Closable;

/**
 * Bind every client that `RedisProbe` is to check: `container.bind(REDIS).toConstantValue(new Redis())`, or with options `{ client: new Redis(), allowReadOnly: true }`.
 * `container.bind<Redis>(REDIS)` has the type of what is bound.
 */
export const REDIS = Symbol.for('koa-probes.REDIS') as symbol & (new () => RedisBinding);

export interface RedisProbeOptions {
  /**
   * How many of the clients that are bound must pass: `all`, `any` or a number.
   * @default 'all'
   */
  require?: Requirement | undefined;
}

/** Bind the options of `RedisProbe` if the defaults do not fit: `container.bind(REDIS_OPTIONS).toConstantValue({ require: 'any' })`. */
export const REDIS_OPTIONS: TargetToken<RedisProbeOptions> = Symbol.for('koa-probes.REDIS_OPTIONS');

/** Readiness: every client that is bound to `REDIS`, or as many as `REDIS_OPTIONS` requires, has a master that takes writes. Asked on the client's own connections. */
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
    const needed = countNeeded('REDIS_OPTIONS', options.require ?? 'all', bound.length, 'the clients that are bound to REDIS');
    // Where all are needed, the failure of one says enough.
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
