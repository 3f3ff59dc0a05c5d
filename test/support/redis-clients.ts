import type { EventEmitter } from 'node:events';
import { Container } from 'inversify';
import { Cluster, Redis } from 'ioredis';
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis-5';
import { discoverProbes, type ProbeRegistry } from 'koa-probes';
import { REDIS, REDIS_OPTIONS, RedisProbe, type RedisClient, type RedisProbeOptions, type RedisTarget } from 'koa-probes/redis';
import * as redis from 'redis';
import * as redis4 from 'redis-4';
import * as redis5 from 'redis-5';

interface ClientOptions {
  readonly password?: string;
  /** Is made and not connected. */
  readonly isLazy?: boolean;
}

/** What the tests do with a client beside checking it. */
export interface TestClient {
  readonly client: RedisClient & EventEmitter;
  readonly errors: string[];
  readonly set: (key: string, value: string) => Promise<unknown>;
  readonly get: (key: string) => Promise<string | null>;
  readonly close: () => unknown;
}

const open: TestClient[] = [];
const registries: ProbeRegistry[] = [];

/** Closes what the test has connected. */
export async function closeClients(): Promise<void> {
  for (const registry of registries.splice(0)) registry.close();
  await Promise.all(open.splice(0).map(({ close }) => close()));
}

/** A client connects again when it is time for that, however often it is asked. */
export const waitsFor = 'the client to reconnect';

type Keepable = RedisClient & EventEmitter & Pick<TestClient, 'set' | 'get'>;

export function keep(client: Keepable, close: () => unknown): TestClient {
  const errors: string[] = [];
  const emitter: EventEmitter = client;
  emitter.on('error', (error) => errors.push(String(error)));
  const kept = { client, errors, set: client.set.bind(client), get: client.get.bind(client), close };
  open.push(kept);
  return kept;
}

export type Connect = (port: number, options?: ClientOptions) => Promise<TestClient>;

const connectIoredis =
  (Client: typeof Redis): Connect =>
  async (port, { password, isLazy = false } = {}) => {
    const client = new Client({ port, host: '127.0.0.1', lazyConnect: isLazy, maxLoadingRetryTime: 300, ...(password && { password }) });
    return keep(client, () => client.disconnect());
  };

const connectNodeRedis =
  ({ createClient }: Pick<typeof redis, 'createClient'>): Connect =>
  async (port, { password, isLazy = false } = {}) => {
    const client = createClient({ socket: { host: '127.0.0.1', port }, ...(password && { password }) });
    const kept = keep(client, () => destroy(client));
    if (!isLazy) client.connect().catch(() => {});
    return kept;
  };

export const clients: Readonly<Record<string, Connect>> = {
  ioredis: connectIoredis(Redis),
  'ioredis 5': connectIoredis(Redis5 as unknown as typeof Redis),
  'node-redis': connectNodeRedis(redis),
  'node-redis 4': connectNodeRedis(redis4 as unknown as typeof redis),
  'node-redis 5': connectNodeRedis(redis5 as unknown as typeof redis),
};

/** Version 4 calls it `disconnect()`. */
async function destroy(client: { readonly isOpen: boolean; destroy?: () => unknown; disconnect?: () => unknown }): Promise<void> {
  if (client.isOpen) await (client.destroy === undefined ? client.disconnect?.() : client.destroy());
}

export const POOL_MAXIMUM = 20;

/** Its clients have to have a connection before a fault begins. */
export const connectPool = async (port: number, size: number): Promise<TestClient> => {
  const pool = redis.createClientPool({ socket: { host: '127.0.0.1', port } }, { minimum: size, maximum: POOL_MAXIMUM });
  const kept = keep(pool, () => pool.destroy());
  await pool.connect();
  return kept;
};

export const clusters: Readonly<Record<string, (ports: readonly number[]) => Promise<TestClient>>> = {
  ioredis: async (ports) => {
    const cluster = new Cluster(ports.map((port) => ({ host: '127.0.0.1', port })));
    return keep(cluster, () => cluster.disconnect());
  },
  'ioredis 5': async (ports) => {
    const cluster = new Cluster5(ports.map((port) => ({ host: '127.0.0.1', port })));
    return keep(cluster, () => cluster.disconnect());
  },
  'node-redis': async (ports) => {
    const cluster = redis.createCluster({ rootNodes: ports.map((port) => ({ socket: { host: '127.0.0.1', port } })) });
    const kept = keep(cluster, () => cluster.isOpen && cluster.destroy());
    await cluster.connect();
    return kept;
  },
  'node-redis 4': async (ports) => {
    const cluster = redis4.createCluster({ rootNodes: ports.map((port) => ({ socket: { host: '127.0.0.1', port } })) });
    const kept = keep(cluster, () => cluster.disconnect());
    await cluster.connect();
    return kept;
  },
  'node-redis 5, which connects no more nodes than it needs': async (ports) => {
    const rootNodes = ports.map((port) => ({ socket: { host: '127.0.0.1', port } }));
    const cluster = redis5.createCluster({ rootNodes, minimizeConnections: true });
    const kept = keep(cluster, () => cluster.isOpen && cluster.destroy());
    await cluster.connect();
    return kept;
  },
};

export const behindSentinel: Readonly<Record<string, (port: number) => Promise<TestClient>>> = {
  ioredis: async (port) => {
    const client = new Redis({ sentinels: [{ host: '127.0.0.1', port }], name: 'main' });
    return keep(client, () => client.disconnect());
  },
  'node-redis': async (port) => {
    const sentinel = redis.createSentinel({ name: 'main', sentinelRootNodes: [{ host: '127.0.0.1', port }], scanInterval: 500 });
    const kept = keep(sentinel, () => sentinel.destroy());
    await sentinel.connect();
    return kept;
  },
};

export const context = () => ({ signal: AbortSignal.timeout(10_000) });

export const problemOf = (promise: Promise<unknown>): Promise<string> => promise.then(() => 'it passed', String);

export const discover = (...bound: (RedisClient | RedisTarget)[]) => discoverWith({}, ...bound);

export const discoverWith = async (options: RedisProbeOptions, ...bound: (RedisClient | RedisTarget)[]) => {
  const container = new Container();
  container.bind(REDIS_OPTIONS).toConstantValue(options);
  for (const one of bound) container.bind(REDIS).toConstantValue(one);
  const registry = await discoverProbes(container, { classes: [RedisProbe], logger: false });
  registries.push(registry);
  return registry;
};

export const resultOf = async (registry: ProbeRegistry) => (await registry.run('readiness', { only: 'redis' })).results[0];
