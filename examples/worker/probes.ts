// What the worker needs and its probes. It starts nothing, so that `koa-probes list --app` and `koa-probes probe --app` can import it.
import { setTimeout as pause } from 'node:timers/promises';
import { Container } from 'inversify';
import { Redis } from 'ioredis';
import { discoverProbes } from 'koa-probes';
import { REDIS } from 'koa-probes/redis';

/** BullMQ waits for jobs without an end. */
export const redis = new Redis(process.env['REDIS_URL'] ?? 'redis://127.0.0.1:6379', { maxRetriesPerRequest: null });
redis.on('error', () => {}); // said by the probe

const container = new Container();
container
  .bind(REDIS)
  .toConstantValue(redis)
  .onDeactivation(async () => {
    await redis.quit(); // at the end of the shutdown
  });
export const registry = await discoverProbes(container);

/** For the command: a client that was made just now has no connection yet. */
export async function probes() {
  await Promise.race([redis.ping(), pause(300)]);
  return registry;
}
