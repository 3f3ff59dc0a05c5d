import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { accepts, freePort, run, start, until } from './processes.js';
import { Service } from './services.js';

/** Redis without persistence of its own accord, in a folder that goes with it. */
export async function startRedis(...args: readonly string[]): Promise<RedisService> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'koa-probes-redis-'));
  const settings = ['--bind', '127.0.0.1', '--dir', folder, '--save', '', '--enable-debug-command', 'yes'];
  // A master would wait for more replicas for 5 s before it sends its data, and for all of them for 10 s before it ends.
  const base = ['--port', String(port), ...settings, '--repl-diskless-sync-delay', '0', '--shutdown-timeout', '0'];
  let more: readonly string[] = [];
  const begin = () => start('redis-server', [...base, ...args, ...more]);
  const cleanUp = () => rmSync(folder, { recursive: true, force: true });
  const service = new RedisService(port, begin, () => accepts(port), cleanUp);
  service.restartWith = async (...changed) => {
    more = changed;
    await service.halt();
    await service.start();
  };
  await service.start();
  return service;
}

export class RedisService extends Service {
  /** Starts it anew with arguments beside its own; with none as at first. */
  restartWith: (...args: readonly string[]) => Promise<void> = async () => {};

  /** Asks by redis-cli, and resolves to what it says. */
  async cli(...args: readonly string[]): Promise<string> {
    return (await run('redis-cli', ['-p', String(this.port), ...args])).trim();
  }

  /** How often the server has run a command since it was started. */
  async countCalls(command: string): Promise<number> {
    const calls = new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(await this.cli('info', 'commandstats'))?.[1];
    return Number(calls ?? 0);
  }

  /** Restarts it on so many keys that it loads, until `finishLoading`. */
  async startLoading(): Promise<void> {
    // A server that loads answers after each 1,024 bytes of its file: a key each.
    await this.cli('debug', 'populate', '2000', 'key', '1000');
    await this.cli('config', 'set', 'rdbcompression', 'no');
    await this.cli('save');
    await this.restartWith('--key-load-delay', '20000', '--loading-process-events-interval-bytes', '1024');
    await until(async () => (await this.cli('info', 'persistence')).includes('loading:1'));
  }

  async finishLoading(): Promise<void> {
    await this.cli('config', 'set', 'key-load-delay', '0');
    await until(async () => (await this.cli('info', 'persistence')).includes('loading:0'));
  }
}

const LAST_SLOT = 16_383;

/** A cluster of masters without replicas, that has come up. */
export async function startRedisCluster(size = 3): Promise<RedisService[]> {
  const nodes = await Promise.all(
    Array.from({ length: size }, async () => {
      const bus = await freePort();
      const args = ['--cluster-enabled', 'yes', '--cluster-port', String(bus), '--cluster-node-timeout', '2000'];
      return { bus, service: await startRedis(...args) };
    }),
  );
  const [first] = nodes;
  for (const [index, { bus, service }] of nodes.entries()) {
    const from = Math.ceil((index * (LAST_SLOT + 1)) / size);
    const to = Math.ceil(((index + 1) * (LAST_SLOT + 1)) / size) - 1;
    await service.cli('cluster', 'addslotsrange', String(from), String(to));
    await first?.service.cli('cluster', 'meet', '127.0.0.1', String(service.port), String(bus));
  }
  const services = nodes.map(({ service }) => service);
  await until(async () => {
    const states = await Promise.all(services.map((service) => service.cli('cluster', 'info')));
    return states.every((state) => state.includes('cluster_state:ok') && state.includes(`cluster_size:${String(size)}`));
  });
  return services;
}

/** A sentinel that watches one master, which it calls `main`. */
export async function startSentinel(master: RedisService): Promise<RedisService> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'koa-probes-sentinel-'));
  const file = join(folder, 'sentinel.conf');
  writeFileSync(
    file,
    `port ${String(port)}
bind 127.0.0.1
dir ${folder}
sentinel monitor main 127.0.0.1 ${String(master.port)} 1
sentinel down-after-milliseconds main 1000
sentinel failover-timeout main 3000
`,
  );
  const begin = () => start('redis-server', [file, '--sentinel']);
  const cleanUp = () => rmSync(folder, { recursive: true, force: true });
  const service = new RedisService(port, begin, () => accepts(port), cleanUp);
  await service.start();
  return service;
}
