import { multiInject } from 'inversify';
import { ReadinessProbe } from '../../discovery/decorators.js';
import { ConfigurationError } from '../../errors.js';
import { ChecksOutside, noteOutside } from '../../run/outside.js';
import type { Probe, ProbeContext } from '../../probe.js';
import { rejectUnknownOptions, show, showType } from '../../validation.js';
import { askConnection, type RedisConnection } from './connection.js';
import { watchErrors } from './client-errors.js';
import { connectIoredis, isIoredis, type IoredisClient, type IoredisCluster } from './ioredis.js';
import {
  connectNodeRedis,
  isNodeRedis,
  type NodeRedisClient,
  type NodeRedisCluster,
  type NodeRedisPool,
  type NodeRedisSentinel,
} from './node-redis.js';
import { checkTargets, requireTargets } from '../shared/targets.js';
import { untilAborted } from '../shared/until-aborted.js';
import type { TargetToken } from '../shared/target-token.js';

/** A client of `ioredis` (`Redis`, with sentinels too, or `Cluster`) or of `redis` (of `createClient`, `createClientPool`, `createCluster` or `createSentinel`). */
export type RedisClient = IoredisClient | IoredisCluster | NodeRedisClient | NodeRedisPool | NodeRedisCluster | NodeRedisSentinel;

/** Bind every client that `RedisProbe` is to check: `container.bind(REDIS).toConstantValue(new Redis())`. */
export const REDIS: TargetToken<RedisClient> = Symbol.for('koa-probes.REDIS');

export interface CheckRedisOptions {
  /**
   * Whether a replica, which takes no writes, is a pass. The servers of a cluster are not asked for it.
   * @default false; true where a client of ioredis itself asks for a replica (`role: 'slave'` or `readOnly`)
   */
  allowReadOnly?: boolean | undefined;
}

/** Readiness: `PING` and `ROLE` by every client that is bound to `REDIS`, on its own connections. */
@ChecksOutside('Redis')
@ReadinessProbe({ name: 'redis' })
export class RedisProbe implements Probe {
  readonly #clients: readonly RedisClient[];

  constructor(@multiInject(REDIS, { chained: true }) clients: readonly RedisClient[]) {
    requireTargets('RedisProbe', clients, 'REDIS', 'client');
    for (const client of clients) {
      validateClient(client);
      watchErrors(client);
    }
    this.#clients = clients;
  }

  async check(context: ProbeContext): Promise<void> {
    noteOutside(context, 'Redis');
    await checkTargets(this.#clients, context, (client, one) => checkRedis(client, one));
  }
}

/**
 * Resolves when the server of the client, every master of a cluster, or the current master behind sentinels has answered `PING`, and `ROLE`
 * (`CLUSTER INFO` in a cluster) says that it takes writes. Rejects, naming the server, when one has not: it is loading, read-only or asks for
 * a password, the cluster does not serve all slots, or the client has no connection. Rejects when the signal is aborted first, saying what has had no answer.
 *
 * The client's own connection is used, and nothing is put into its offline queue: without a connection the answer is a failure at once.
 * On a frozen server one command of each kind is under way at most, however often it is checked; of a pool of node-redis, on each of its clients that are lent to a check.
 * The client connects and disconnects as it does without; to masters of a cluster with its first command to them.
 * A client that blocks (`BLPOP`), subscribes or monitors answers late or not at all: bind another one.
 *
 * @throws the signal's reason where that is aborted before the call; ConfigurationError where the client is none of ioredis or redis, or an option is unknown.
 */
export async function checkRedis(
  client: RedisClient,
  context: Pick<ProbeContext, 'signal'>,
  options: CheckRedisOptions = {},
): Promise<void> {
  noteOutside(context, 'Redis');
  const { signal } = context;
  rejectUnknownOptions('checkRedis()', options, ['allowReadOnly']);
  if (!['boolean', 'undefined'].includes(typeof options.allowReadOnly)) {
    throw new ConfigurationError(`Expected \`allowReadOnly\` of checkRedis() to be a boolean, got ${show(options.allowReadOnly)}.`);
  }
  validateClient(client);
  signal.throwIfAborted();
  watchErrors(client);
  const connections = await untilAborted(connect(client), signal, 'redis cluster: the client has not found its masters');
  const { allowReadOnly } = options;
  await checkTargets(connections, { signal }, (connection, one) => askConnection(connection, one.signal, allowReadOnly));
}

function connect(client: RedisClient): Promise<readonly RedisConnection[]> {
  return isIoredis(client) ? connectIoredis(client) : connectNodeRedis(client);
}

function validateClient(client: RedisClient): void {
  const value: unknown = client;
  if (typeof value === 'object' && value !== null && (isIoredis(client) || isNodeRedis(client))) return;
  throw new ConfigurationError(
    `Expected a client of ioredis or redis, got ${showType(value)}. Bind what \`new Redis()\` or \`createClient()\` gives.`,
  );
}
