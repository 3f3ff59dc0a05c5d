import { errorMonitor, getEventListeners } from 'node:events';
import { expect } from 'chai';
import { Container } from 'inversify';
import { Cluster, Redis } from 'ioredis';
import { ConfigurationError } from 'koa-probes';
import { checkRedis, REDIS, type RedisClient } from 'koa-probes/redis';
import * as redis from 'redis';
import * as redis4 from 'redis-4';
import * as redis5 from 'redis-5';
import { stageFault } from '../../support/faults.js';
import { freePort, until } from '../../support/processes.js';
import {
  behindSentinel,
  clients,
  closeClients,
  clusters,
  context,
  discover,
  discoverWith,
  keep,
  problemOf,
  resultOf,
  waitsFor,
  type Connect,
  type TestClient,
} from '../../support/redis-clients.js';
import { startRedis, startRedisCluster, startSentinel, type RedisService } from '../../support/redis.js';
import { SilentProxy } from '../../support/silent-proxy.js';

describe('koa-probes/redis', () => {
  afterEach(closeClients);

  for (const [name, connect] of Object.entries(clients)) {
    describe(`RedisProbe with ${name}`, () => {
      let server: RedisService;
      before(async () => (server = await startRedis()));
      after(() => server.stop());
      // As it was, whatever a test has set.
      afterEach(() => server.restartWith());

      it('fails while the server is stopped, queues no command for it, and passes again when the server is back', async () => {
        const { client, errors } = await connect(server.port);
        const registry = await discover(client);
        await stageFault({
          registry,
          probe: 'redis',
          fault: `the server is stopped (${name})`,
          begin: async () => {
            await server.halt();
            await until(() => errors.some((error) => error.includes('ECONNREFUSED')));
            for (let round = 0; round < 20; round += 1) await problemOf(checkRedis(client, context()));
          },
          end: async () => {
            await server.start();
            await until(
              () => (client as { status?: string; isReady?: boolean }).status === 'ready' || (client as { isReady?: boolean }).isReady,
            );
            expect(await server.countCalls('ping')).to.equal(0);
          },
          reason: new RegExp(
            `redis 127\\.0\\.0\\.1:${String(server.port)}: the client (is disconnected and reconnecting|is connecting): .*ECONNREFUSED`,
          ),
        });
      });

      it('fails while the server is frozen, and sends each command once, no matter how often it is checked', async () => {
        const { client, set, get } = await connect(server.port);
        const registry = await discover(client);
        let before = 0;
        await stageFault({
          registry,
          probe: 'redis',
          fault: `the server is frozen (${name})`,
          begin: async () => {
            before = await server.countCalls('ping');
            server.freeze();
            for (let round = 0; round < 20; round += 1) {
              const controller = new AbortController();
              const checking = problemOf(checkRedis(client, controller));
              setImmediate(() => controller.abort(new Error('enough')));
              expect(await checking).to.match(/^Error: redis 127\.0\.0\.1:\d+: no answer to PING and ROLE for \d+ ms$/);
              expect(getEventListeners(controller.signal, 'abort')).to.deep.equal([]);
            }
          },
          end: async () => {
            server.thaw();
            await set('key', 'value');
            expect((await server.countCalls('ping')) - before).to.be.at.most(1);
          },
          reason: /^timed out after 800 ms: redis 127\.0\.0\.1:\d+: no answer to PING and ROLE for \d+ ms$/,
        });
        expect(await get('key')).to.equal('value');
      });

      it('fails while the server is loading', async () => {
        const { client } = await connect(server.port);
        const registry = await discover(client);
        await stageFault({
          registry,
          probe: 'redis',
          fault: `the server is loading its dataset (${name})`,
          waitsFor,
          begin: async () => {
            await server.startLoading();
            await until(async () => String((await resultOf(registry))?.error).includes('loading'));
          },
          end: () => server.finishLoading(),
          reason: new RegExp(`redis 127\\.0\\.0\\.1:${String(server.port)}: the server is loading its dataset into memory`),
        });
      });

      it('fails while a script keeps the server busy', async () => {
        const { client } = await connect(server.port);
        const registry = await discover(client);
        let script: Promise<unknown> | undefined;
        await stageFault({
          registry,
          probe: 'redis',
          fault: `a script keeps the server busy (${name})`,
          begin: async () => {
            await server.cli('config', 'set', 'busy-reply-threshold', '50');
            script = server.cli('eval', 'while true do end', '0').catch(() => {});
            await until(async () => (await server.cli('ping')).startsWith('BUSY'));
          },
          end: async () => {
            await server.cli('script', 'kill');
            await script;
          },
          reason: /redis 127\.0\.0\.1:\d+: the server is busy with a script: BUSY/,
        });
      });

      it('fails while the server is a replica, unless `allowReadOnly` is set', async () => {
        const master = await startRedis();
        const { client } = await connect(server.port);
        const registry = await discover(client);
        await stageFault({
          registry,
          probe: 'redis',
          fault: `the server has become a replica (${name})`,
          begin: async () => {
            await server.cli('replicaof', '127.0.0.1', String(master.port));
            await checkRedis(client, context(), { allowReadOnly: true });
          },
          end: () => server.cli('replicaof', 'no', 'one'),
          reason: new RegExp(`the server is a read-only replica of 127\\.0\\.0\\.1:${String(master.port)}, but a master is needed`),
        });
        await master.stop();
      });

      it('fails while the server requires a password that the client does not send', async () => {
        const { client, errors } = await connect(server.port);
        const registry = await discover(client);
        await stageFault({
          registry,
          probe: 'redis',
          fault: `the server requires a password (${name})`,
          waitsFor,
          begin: async () => {
            await server.cli('config', 'set', 'requirepass', 'secret');
            await server.cli('-a', 'secret', 'client', 'kill', 'type', 'normal');
            await until(
              async () =>
                errors.some((error) => error.includes('NOAUTH')) || (await problemOf(checkRedis(client, context()))).includes('NOAUTH'),
            );
          },
          end: () => server.cli('-a', 'secret', 'config', 'set', 'requirepass', ''),
          reason: /redis 127\.0\.0\.1:\d+: the (client|server requires a password).*: .*NOAUTH/,
        });
      });

      it('fails while the server rejects the password', async () => {
        await server.cli('config', 'set', 'requirepass', 'secret');
        const { client, errors } = await connect(server.port, { password: 'secret' });
        const registry = await discover(client);
        await stageFault({
          registry,
          probe: 'redis',
          fault: `the server rejects the password (${name})`,
          waitsFor,
          begin: async () => {
            await server.cli('-a', 'secret', 'config', 'set', 'requirepass', 'other');
            await server.cli('-a', 'other', 'client', 'kill', 'type', 'normal');
            await until(() => errors.some((error) => error.includes('WRONGPASS')));
            expect(await problemOf(checkRedis(client, context())))
              .to.match(/WRONGPASS/)
              .and.not.include('secret');
          },
          end: () => server.cli('-a', 'other', 'config', 'set', 'requirepass', 'secret'),
          reason: /redis 127\.0\.0\.1:\d+: the client.*: .*WRONGPASS/,
        });
      });

      it('fails if the client was never connected, and does not connect it', async () => {
        const { client } = await connect(server.port, { isLazy: true });
        const before = await server.cli('client', 'list');
        expect(await problemOf(checkRedis(client, context()))).to.include('Call its connect() when the application starts');
        expect((await server.cli('client', 'list')).split('\n')).to.have.length(before.split('\n').length);
        expect((client as { status?: string }).status ?? 'wait').to.equal('wait');
      });

      it('fails if the client is closed', async () => {
        const { client, close } = await connect(server.port);
        await until(() => checkRedis(client, context()).then(() => true));
        await close();
        await until(async () => /the client is (closed|not open)/.test(await problemOf(checkRedis(client, context()))));
      });

      it('passes if the user may not run PING; fails if no other command shows that the server works, and says what to allow', async () => {
        await server.cli('acl', 'setuser', 'default', '-ping');
        const { client } = await connect(server.port);
        await until(async () => (await checkRedis(client, context())) === undefined);
        const advice = 'the user may not run PING. Allow +ping: NOPERM';
        expect(await problemOf(checkRedis(client, context(), { allowReadOnly: true }))).to.include(advice);
        await server.cli('acl', 'setuser', 'default', '-setrange');
        expect(await problemOf(checkRedis(client, context()))).to.include(advice);
      });

      it('leaves one listener on the client and none on the signal', async () => {
        const { client } = await connect(server.port);
        const { signal } = new AbortController();
        await until(() => checkRedis(client, { signal }).then(() => true));
        const counted = () => client.eventNames().map((event) => [event, client.listenerCount(event)]);
        const before = counted();
        for (let round = 0; round < 20; round += 1) await checkRedis(client, { signal });
        expect(counted()).to.deep.equal(before);
        expect(client.listenerCount(errorMonitor)).to.equal(1);
        expect(getEventListeners(signal, 'abort')).to.deep.equal([]);
      });

      it('rejects with the reason of a signal that is already aborted, and sends no command', async () => {
        const { client } = await connect(server.port);
        const reason = new Error('enough');
        const calls = await server.countCalls('ping');
        expect(await problemOf(checkRedis(client, { signal: AbortSignal.abort(reason) }))).to.equal('Error: enough');
        expect(await server.countCalls('ping')).to.equal(calls);
      });
    });
  }

  describe('RedisProbe with a cluster', () => {
    let servers: RedisService[];
    before(async () => (servers = await startRedisCluster()));
    after(() => Promise.all(servers.map((server) => server.stop())));

    for (const [name, connect] of Object.entries(clusters)) {
      it(`checks every master, fails while one is stopped, and passes again without other traffic (${name})`, async () => {
        const { client } = await connect(servers.map(({ port }) => port));
        const registry = await discover(client);
        await until(async () => (await resultOf(registry))?.status === 'pass');
        const before = await Promise.all(servers.map((server) => server.countCalls('ping')));
        await checkRedis(client, context());
        const after = await Promise.all(servers.map((server) => server.countCalls('ping')));
        expect(after).to.deep.equal(before.map((calls) => calls + 1));
        await stageFault({
          registry,
          probe: 'redis',
          fault: `a master of the cluster is stopped (${name})`,
          waitsFor,
          begin: () => servers[2]?.halt(),
          end: () => servers[2]?.start(),
          reason: new RegExp(`redis 127\\.0\\.0\\.1:(${String(servers[2]?.port)}: the client|\\d+: the cluster)`),
        });
      });
    }

    it('fails while no node serves some of the slots', async () => {
      const { client } = await (clusters['ioredis'] as (ports: readonly number[]) => Promise<TestClient>)(servers.map(({ port }) => port));
      const registry = await discover(client);
      await stageFault({
        registry,
        probe: 'redis',
        fault: 'no node serves a slot of the cluster',
        begin: () => servers[0]?.cli('cluster', 'delslots', '0'),
        end: () => servers[0]?.cli('cluster', 'addslots', '0'),
        reason: /the cluster is down, cluster_state is fail/,
      });
    });
  });

  describe('RedisProbe behind sentinels', () => {
    for (const [name, connect] of Object.entries(behindSentinel)) {
      it(`checks the current master, fails while there is none, and passes with the new master (${name})`, async () => {
        const master = await startRedis();
        const replica = await startRedis('--replicaof', '127.0.0.1', String(master.port), '--replica-priority', '0');
        const sentinel = await startSentinel(master);
        try {
          await until(async () => (await sentinel.cli('sentinel', 'replicas', 'main')).includes(String(replica.port)));
          const { client } = await connect(sentinel.port);
          const registry = await discover(client);
          await stageFault({
            registry,
            probe: 'redis',
            fault: `the master behind the sentinels is stopped (${name})`,
            waitsFor,
            begin: async () => {
              await master.halt();
              await until(() => isOffline(client));
            },
            end: async () => {
              await replica.cli('config', 'set', 'replica-priority', '100');
              await until(async () => (await replica.cli('role')).startsWith('master'), 30_000);
            },
            reason: /redis (main|master) behind sentinels.*: the client/,
          });
          expect(await replica.countCalls('ping')).to.be.above(0);
        } finally {
          await Promise.all([master, replica, sentinel].map((service) => service.stop()));
        }
      });
    }
  });

  describe('RedisProbe', () => {
    let server: RedisService;
    before(async () => (server = await startRedis()));
    after(() => server.stop());
    const connect = clients['ioredis'] as Connect;

    it('checks a pool of node-redis, and fails if one of its clients is disconnected', async () => {
      const pool = redis.createClientPool({ socket: { host: '127.0.0.1', port: server.port } });
      const { client } = keep(pool, () => pool.destroy());
      await pool.connect();
      const registry = await discover(client);
      await stageFault({
        registry,
        probe: 'redis',
        fault: 'the server is stopped (pool of node-redis)',
        waitsFor,
        begin: async () => {
          await server.halt();
          await until(async () => (await problemOf(checkRedis(client, context()))).includes('ECONNREFUSED'));
        },
        end: () => server.start(),
        reason: /redis pool: the client could not send the commands: .*ECONNREFUSED/,
      });
    });

    it('passes with the first run after the server has disappeared, although all clients of a node-redis pool are dead', async () => {
      const proxy = await new SilentProxy(server.port).start();
      const pool = redis.createClientPool({ socket: { host: '127.0.0.1', port: proxy.port } }, { minimum: 2, maximum: 10 });
      const { client } = keep(pool, () => pool.destroy());
      await pool.connect();
      const before = await server.countCalls('ping');
      await stageFault({
        registry: await discover(client),
        probe: 'redis',
        fault: 'the server has disappeared without closing the connections of the pool (pool of node-redis)',
        begin: async () => {
          proxy.fail();
          expect(await problemOf(checkRedis(client, { signal: AbortSignal.timeout(100) }))).to.include('no answer to PING and ROLE');
        },
        end: () => proxy.mend(),
        reason: /^timed out after 800 ms: redis pool: no answer to PING and ROLE for \d+ ms$/,
      });
      // A client for each of the two checks that had no answer, and one for those that had.
      expect(pool.totalClients).to.be.at.most(3);
      expect(await server.countCalls('ping')).to.be.above(before);
      proxy.stop();
    });

    it('passes with a replica if the client itself asks for one', async () => {
      await server.cli('replicaof', '127.0.0.1', String(await freePort()));
      const reader = new Redis({ port: server.port, host: '127.0.0.1', readOnly: true });
      const { client } = keep(reader, () => reader.disconnect());
      await until(() => checkRedis(client, context()).then(() => true));
      expect(await problemOf(checkRedis(client, context(), { allowReadOnly: false }))).to.include('the server is a read-only replica');
      await server.cli('replicaof', 'no', 'one');
    });

    it('names the failed client among several', async () => {
      const closed = await freePort();
      const [up, down] = [await connect(server.port), await connect(closed)];
      const registry = await discover(up.client, down.client);
      await until(async () => String((await resultOf(registry))?.error).includes(`redis 127.0.0.1:${String(closed)}: `));
      expect((await resultOf(registry))?.status).to.equal('fail');
    });

    it('fails the start if nothing is bound to REDIS, and says what to bind and how to leave the probe out', async () => {
      const problem = await problemOf(discover());
      expect(problem).to.match(/could not create RedisProbe\. .*nothing is bound to REDIS\. Bind a target, `container\.bind\(REDIS\)/);
      expect(problem).to.match(
        /leave the probe out with `disabled: \['redis'\]`\. The probe was added because its module was imported\. .* from 'koa-probes\/checks'/,
      );
    });

    it('passes as soon as the required number of clients passes, even if another client gets no answer', async () => {
      const silent = await startRedis();
      const closed = await freePort();
      try {
        const bound = [(await connect(server.port)).client, (await connect(silent.port)).client, (await connect(closed)).client];
        const [any, one, two] = [
          await discoverWith({ require: 'any' }, ...bound),
          await discoverWith({ require: 1 }, ...bound),
          await discoverWith({ require: 2 }, ...bound),
        ];
        await until(async () => (await resultOf(two))?.status === 'pass');
        silent.freeze();
        expect((await resultOf(any))?.status).to.equal('pass');
        expect((await resultOf(one))?.status).to.equal('pass');
        expect(String((await resultOf(two))?.error)).to.match(/^Error: timed out|ProbeTimeoutError: timed out/);
        expect((await resultOf(two))?.failure?.detail).to.match(
          /timed out after 800 ms: 2 of 3 redis clients failed, 2 must answer: .*: the client .*; redis .*: no answer to PING and ROLE for \d+ ms$/,
        );
      } finally {
        await silent.stop();
      }
    });

    it('fails as soon as too many clients have failed', async () => {
      const [up, down, other] = [await connect(server.port), await connect(await freePort()), await connect(await freePort())];
      const registry = await discoverWith({ require: 2 }, up.client, down.client, other.client);
      await until(async () =>
        /2 of 3 redis clients failed, 2 must answer: redis \S+: .*ECONNREFUSED.*; redis \S+: .*ECONNREFUSED/.test(
          String((await resultOf(registry))?.error),
        ),
      );
    });

    for (const required of [0, 3, 1.5, 'most']) {
      it(`fails the start with \`require: ${String(required)}\` for two clients`, async () => {
        const [one, other] = [await connect(server.port), await connect(server.port)];
        expect(await problemOf(discoverWith({ require: required as 1 }, one.client, other.client))).to.match(
          /`require` of REDIS_OPTIONS to be "all", "any" or a whole number from 1 to 2 \(the number of clients bound to REDIS\), got/,
        );
      });
    }

    it('accepts options for one client together with clients without options', async () => {
      const master = await startRedis();
      const replica = await startRedis('--replicaof', '127.0.0.1', String(master.port));
      try {
        const reader = (await connect(replica.port)).client;
        const registry = await discover((await connect(master.port)).client, { client: reader, allowReadOnly: true });
        await until(async () => (await resultOf(registry))?.status === 'pass');
        expect(await problemOf(discover({ client: reader, allowReadonly: true } as never))).to.include(
          'Unknown option `allowReadonly` of REDIS',
        );
      } finally {
        await Promise.all([master.stop(), replica.stop()]);
      }
    });

    it('lets the container close its clients, each with its own method', async () => {
      const container = new Container();
      const [one, other] = [new Redis({ port: server.port }), new Redis({ port: server.port })];
      const reader = new Redis({ lazyConnect: true });
      container
        .bind(REDIS)
        .toConstantValue(one)
        .onDeactivation((client) => client.quit());
      container
        .bind<Redis>(REDIS)
        .toConstantValue(other)
        .onDeactivation(async (client) => void (await client.quit()));
      container
        .bind(REDIS)
        .toConstantValue(new Cluster([{ port: server.port }], { lazyConnect: true }))
        .onDeactivation((client) => client.disconnect());
      container
        .bind(REDIS)
        .toConstantValue(redis.createClientPool())
        .onDeactivation((client) => client.close());
      container.bind(REDIS).toConstantValue({ client: reader, allowReadOnly: true });
      const rootNodes = { rootNodes: [] };
      for (const made of [redis.createClient(), redis4.createClient(), redis5.createClient()]) container.bind(REDIS).toConstantValue(made);
      for (const made of [redis.createCluster(rootNodes), redis4.createCluster(rootNodes)]) container.bind(REDIS).toConstantValue(made);
      // @ts-expect-error -- It is no client.
      new Container().bind(REDIS).toConstantValue('redis://localhost');
      expect(container.getAll(REDIS)).to.have.length(10);
      await container.unbindAllAsync();
      await until(() => one.status === 'end' && other.status === 'end');
    });

    it('fails the start if no client is bound', async () => {
      const problem: unknown = await discover({} as RedisClient).catch((error: unknown) => error);
      expect(problem).to.satisfy(ConfigurationError.is);
      expect(String(problem)).to.include('Expected a client of ioredis or redis, got an object');
    });

    it('rejects unknown options', async () => {
      const { client } = await connect(server.port);
      expect(await problemOf(checkRedis(client, context(), { allowReadonly: true } as object))).to.include(
        'Unknown option `allowReadonly`',
      );
      expect(await problemOf(checkRedis(client, context(), { allowReadOnly: 'yes' } as object))).to.include('to be a boolean, got "yes"');
      expect(await problemOf(checkRedis(client, context(), { maxLagMs: 0 }))).to.include(
        'Expected `maxLagMs` of checkRedis() to be a number of milliseconds',
      );
      expect(await problemOf(checkRedis(client, context(), { maxLagMs: 1_000, allowReadOnly: false }))).to.include(
        '`allowReadOnly` is false',
      );
      for (const key of ['', '{a}', 7]) {
        expect(await problemOf(checkRedis(client, context(), { key } as object))).to.include('Expected `key` of checkRedis() to be');
      }
    });
  });
});

function isOffline(client: RedisClient): boolean {
  if ('getMasterNode' in client) return client.getMasterNode() === undefined;
  return !('status' in client) || client.status !== 'ready';
}
