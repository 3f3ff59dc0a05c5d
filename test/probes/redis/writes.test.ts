import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { Redis } from 'ioredis';
import { Redis as Redis5 } from 'ioredis-5';
import { checkRedis, type RedisClient } from 'koa-probes/redis';
import * as redis from 'redis';
import { stageFault } from '../../support/faults.js';
import { freePort, until } from '../../support/processes.js';
import { clients, closeClients, clusters, context, discover, keep, problemOf, resultOf } from '../../support/redis-clients.js';
import { startRedis, startRedisCluster, type RedisService } from '../../support/redis.js';

describe('RedisProbe with a server that accepts no writes', () => {
  let server: RedisService;
  before(async () => (server = await startRedis()));
  after(() => server.stop());
  afterEach(async () => {
    await closeClients();
    await server.restartWith();
  });

  /** The server has as many connections, keys and changes after 200 checks as before. */
  const failOften = async (client: RedisClient, code: string) => {
    const state = async () => {
      const info = await server.cli('info', 'everything');
      return ['connected_clients', 'total_connections_received', 'rdb_changes_since_last_save', 'master_repl_offset'].map(
        (field) => new RegExp(`${field}:(\\d+)`).exec(info)?.[1],
      );
    };
    await until(async () => (await problemOf(checkRedis(client, context()))).includes(code));
    const [connected, received, ...before] = await state();
    for (let round = 0; round < 200; round += 1) expect(await problemOf(checkRedis(client, context()))).to.include(code);
    // The second count comes by a connection of its own.
    expect(await state()).to.deep.equal([connected, String(Number(received) + 1), ...before]);
  };

  for (const [name, connect] of Object.entries(clients)) {
    describe(`and ${name}`, () => {
      it('fails while the memory is full and no key may be evicted', async () => {
        const { client } = await connect(server.port);
        await stageFault({
          registry: await discover(client),
          probe: 'redis',
          fault: `maxmemory is reached, and no key may be evicted (${name})`,
          begin: async () => {
            await server.cli('config', 'set', 'maxmemory', '1');
            await failOften(client, 'OOM');
          },
          end: () => server.cli('config', 'set', 'maxmemory', '0'),
          reason: /redis 127\.0\.0\.1:\d+: the server rejects writes because its memory is full \(maxmemory\).*: OOM command not allowed/,
        });
      });

      it('fails while the server has too few replicas', async () => {
        const { client } = await connect(server.port);
        await stageFault({
          registry: await discover(client),
          probe: 'redis',
          fault: `the server has too few replicas (${name})`,
          begin: async () => {
            await server.cli('config', 'set', 'min-replicas-to-write', '1');
            await failOften(client, 'NOREPLICAS');
          },
          end: () => server.cli('config', 'set', 'min-replicas-to-write', '0'),
          reason: /the server rejects writes because it has too few replicas \(min-replicas-to-write\): NOREPLICAS/,
        });
      });

      it('fails while the server cannot save its data', async () => {
        const { client } = await connect(server.port);
        const [, folder = ''] = (await server.cli('config', 'get', 'dir')).split('\n');
        const inTheWay = join(folder, 'dump.rdb');
        await stageFault({
          registry: await discover(client),
          probe: 'redis',
          fault: `the server cannot save its data (${name})`,
          begin: async () => {
            // A folder with a file in it cannot be replaced by a file.
            rmSync(inTheWay, { force: true });
            mkdirSync(inTheWay);
            writeFileSync(join(inTheWay, 'file'), '');
            await server.cli('config', 'set', 'save', '3600 1');
            await server.cli('bgsave');
            await until(async () => (await server.cli('info', 'persistence')).includes('rdb_last_bgsave_status:err'));
            await failOften(client, 'MISCONF');
          },
          end: async () => {
            rmSync(inTheWay, { recursive: true });
            await server.cli('bgsave');
            await until(async () => (await server.cli('info', 'persistence')).includes('rdb_last_bgsave_status:ok'));
          },
          reason: /the server rejects writes because it cannot save them: MISCONF/,
        });
      });

      it('names the write command if the server does not answer it', async () => {
        const { client } = await connect(server.port);
        await until(() => checkRedis(client, context()).then(() => true));
        await server.cli('client', 'pause', '100000', 'write');
        expect(await problemOf(checkRedis(client, { signal: AbortSignal.timeout(200) }))).to.match(/: no answer to SETRANGE for \d+ ms$/);
        await server.cli('client', 'unpause');
        await checkRedis(client, context());
      });

      it('passes with `allowReadOnly`', async () => {
        const { client } = await connect(server.port);
        await server.cli('config', 'set', 'maxmemory', '1');
        await until(() => checkRedis(client, context(), { allowReadOnly: true }).then(() => true));
      });

      it('passes if the user may not run ROLE, but still fails for a replica', async () => {
        await server.cli('acl', 'setuser', 'default', '-role');
        const { client } = await connect(server.port);
        await until(async () => (await checkRedis(client, context())) === undefined);
        await server.cli('replicaof', '127.0.0.1', String(await freePort()));
        expect(await problemOf(checkRedis(client, context()))).to.match(
          /a read-only replica, but a master is needed\. .*`allowReadOnly: true`/,
        );
        await server.cli('replicaof', 'no', 'one');
      });

      it('passes if the user may not write, and reports that writes were not checked', async () => {
        await server.cli('acl', 'setuser', 'default', '-@all', '+ping', '+hello', '+info');
        const { client } = await connect(server.port);
        const registry = await discover(client);
        await until(async () => (await resultOf(registry))?.status === 'pass');
        expect((await resultOf(registry))?.data).to.deep.equal({ notChecked: 'writes' });
      });

      it('uses the key that the user may write', async () => {
        await server.cli('acl', 'setuser', 'default', 'resetkeys', '~app:*');
        const { client } = await connect(server.port);
        await until(() => checkRedis(client, context()).then(() => true));
        expect(await checkRedis(client, context())).to.deep.equal({ notChecked: 'writes' });
        expect(await checkRedis(client, context(), { key: 'app:probe' })).to.equal(undefined);
      });

      it('changes nothing, no matter what the key contains', async () => {
        const { client } = await connect(server.port);
        await until(() => checkRedis(client, context()).then(() => true));
        const state = async () => {
          const info = await server.cli('info', 'everything');
          const fields = [
            'rdb_changes_since_last_save',
            'master_repl_offset',
            'keyspace_misses',
            'keyspace_hits',
            'expired_keys',
            'evicted_keys',
          ];
          return [await server.cli('debug', 'digest'), ...fields.map((field) => new RegExp(`${field}:\\d+`).exec(info)?.[0])];
        };
        for (const fill of [
          ['del', 'koa-probes'],
          ['set', 'koa-probes', 'value'],
          ['lpush', 'koa-probes', 'a', 'b'],
        ]) {
          await server.cli('del', 'koa-probes');
          await server.cli(...fill);
          const before = await state();
          for (let round = 0; round < 200; round += 1) expect(await checkRedis(client, context())).to.equal(undefined);
          expect(await state()).to.deep.equal(before);
        }
      });
    });
  }

  for (const [name, Client] of Object.entries({ ioredis: Redis, 'ioredis 5': Redis5 as unknown as typeof Redis })) {
    it(`uses the key with the \`keyPrefix\` of the client (${name})`, async () => {
      await server.cli('acl', 'setuser', 'default', 'resetkeys', '~app:*');
      const prefixed = new Client({ port: server.port, host: '127.0.0.1', keyPrefix: 'app:' });
      const { client } = keep(prefixed, () => prefixed.disconnect());
      await until(async () => (await checkRedis(client, context())) === undefined);
    });
  }

  describe('and a proxy that does not know ROLE and HELLO', () => {
    const unnamed = ['--rename-command', 'ROLE', '', '--rename-command', 'HELLO', ''];
    const withoutHello = {
      ioredis: (port: number) => {
        const client = new Redis5({ port, host: '127.0.0.1' });
        return keep(client, () => client.disconnect());
      },
      'node-redis': (port: number) => {
        const client = redis.createClient({ socket: { host: '127.0.0.1', port }, RESP: 2 });
        client.connect().catch(() => {});
        return keep(client, () => client.isOpen && client.destroy());
      },
    };
    for (const [name, connect] of Object.entries(withoutHello)) {
      it(`passes if the server accepts writes (${name})`, async () => {
        await server.restartWith(...unnamed);
        const { client } = connect(server.port);
        await until(async () => (await checkRedis(client, context())) === undefined);
      });

      it(`fails on a replica (${name})`, async () => {
        await server.restartWith(...unnamed, '--replicaof', '127.0.0.1', String(await freePort()));
        const { client } = connect(server.port);
        await until(() => checkRedis(client, context(), { allowReadOnly: true }).then(() => true));
        expect(await problemOf(checkRedis(client, context()))).to.include('the server is a read-only replica, but a master is needed');
      });

      it(`fails if no command shows whether the server accepts writes, and names \`allowReadOnly\` (${name})`, async () => {
        await server.restartWith(...unnamed, '--rename-command', 'SETRANGE', '');
        const { client } = connect(server.port);
        await until(() => checkRedis(client, context(), { allowReadOnly: true }).then(() => true));
        expect(await problemOf(checkRedis(client, context()))).to.match(
          /the user may run no command that shows whether the server is a master or accepts writes\. Allow the user \+role or \+setrange ~koa-probes\*, or .*`allowReadOnly: true`/,
        );
      });
    }
  });
});

describe('RedisProbe with a cluster in which one master accepts no writes', () => {
  let servers: RedisService[];
  before(async () => (servers = await startRedisCluster()));
  after(() => Promise.all(servers.map((server) => server.stop())));
  afterEach(async () => {
    await closeClients();
    for (const server of servers) await server.cli('acl', 'setuser', 'default', '+@all');
  });

  for (const [name, connect] of Object.entries(clusters)) {
    it(`fails while the memory of one master is full, and passes with the first run afterwards (${name})`, async () => {
      const { client } = await connect(servers.map(({ port }) => port));
      const registry = await discover(client);
      await until(async () => (await resultOf(registry))?.status === 'pass');
      expect((await resultOf(registry))?.data).to.equal(undefined);
      await stageFault({
        registry,
        probe: 'redis',
        fault: `the memory of one master of the cluster is full (${name})`,
        begin: () => servers[1]?.cli('config', 'set', 'maxmemory', '1'),
        end: () => servers[1]?.cli('config', 'set', 'maxmemory', '0'),
        reason: new RegExp(`redis 127\\.0\\.0\\.1:${String(servers[1]?.port)}: the server rejects writes because its memory is full`),
      });
      await servers[1]?.cli('config', 'set', 'maxmemory', '1');
      await checkRedis(client, context(), { allowReadOnly: true });
      await servers[1]?.cli('config', 'set', 'maxmemory', '0');
    });
  }

  // ioredis itself asks for the state of the cluster before it is ready.
  for (const [name, connect] of Object.entries(clusters).filter(([one]) => one.startsWith('node-redis'))) {
    it(`passes if the user may not read the state of the cluster, because the writes show it too (${name})`, async () => {
      for (const server of servers) await server.cli('acl', 'setuser', 'default', '-cluster|info');
      const { client } = await connect(servers.map(({ port }) => port));
      expect(await checkRedis(client, context())).to.equal(undefined);
      expect(await checkRedis(client, context(), { allowReadOnly: true })).to.deep.equal({ notChecked: 'the state of the cluster' });
      for (const server of servers) await server.cli('acl', 'setuser', 'default', '-setrange');
      expect(await problemOf(checkRedis(client, context()))).to.include('Allow the user +cluster|info or +setrange ~koa-probes*');
    });
  }
});
