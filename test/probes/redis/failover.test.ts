import { expect } from 'chai';
import { Redis } from 'ioredis';
import { checkRedis } from 'koa-probes/redis';
import * as redis from 'redis';
import { stageFault } from '../../support/faults.js';
import { MovingName } from '../../support/moving-name.js';
import { until } from '../../support/processes.js';
import {
  behindSentinel,
  clients,
  closeClients,
  connectPool,
  POOL_MAXIMUM,
  context,
  discover,
  keep,
  problemOf,
  resultOf,
  type Connect,
} from '../../support/redis-clients.js';
import { startRedis, startSentinel, type RedisService } from '../../support/redis.js';

describe('RedisProbe after a failover', () => {
  let [first, second]: RedisService[] = [];
  let name: MovingName;
  beforeEach(async () => {
    first = await startRedis();
    second = await startRedis('--replicaof', '127.0.0.1', String(first.port));
    name = await new MovingName(first.port).start();
    await until(async () => (await second!.cli('info', 'replication')).includes('master_link_status:up'));
  });
  afterEach(async () => {
    await closeClients();
    name.stop();
    await Promise.all([first?.stop(), second?.stop()]);
  });

  const failOver = async () => {
    await second!.cli('replicaof', 'no', 'one');
    await first!.cli('replicaof', '127.0.0.1', String(second!.port));
  };
  const connections = async (server: RedisService) => Number(/connected_clients:(\d+)/.exec(await server.cli('info', 'clients'))?.[1]);

  const behindName: Readonly<Record<string, Connect>> = { ...clients, 'pool of node-redis': (port) => connectPool(port, 5) };

  for (const [library, connect] of Object.entries(behindName)) {
    describe(`with ${library} behind a host name`, () => {
      it('passes with the first run after the name has moved, without a write of the application', async () => {
        const { client, get, set } = await connect(name.port);
        const registry = await discover(client);
        await until(async () => (await resultOf(registry))?.status === 'pass');
        await set('key', 'value');
        await until(async () => (await second!.cli('get', 'key')) === 'value');
        await stageFault({
          registry,
          probe: 'redis',
          fault: `after a failover, the connection still leads to the old master (${library})`,
          begin: failOver,
          end: () => name.leadTo(second!.port),
          reason: new RegExp(`the server is a read-only replica of 127\\.0\\.0\\.1:${String(second!.port)}, but a master is needed`),
        });
        expect(await get('key')).to.equal('value');
        await set('key', 'other');
        expect(await second!.cli('get', 'key')).to.equal('other');
      });

      it('loses no command that was sent before the check', async () => {
        const { client, get, set } = await connect(name.port);
        await until(() => checkRedis(client, context()).then(() => true));
        await set('key', 'value');
        await until(async () => (await second!.cli('get', 'key')) === 'value');
        await failOver();
        name.leadTo(second!.port);
        const answers = Array.from({ length: 100 }, () => get('key'));
        const problem = await problemOf(checkRedis(client, context()));
        expect(await Promise.all(answers)).to.deep.equal(Array.from({ length: 100 }, () => 'value'));
        // Of a pool, the clients that were lent to the application are replaced by the next check.
        if (!library.startsWith('pool')) expect(problem).to.equal('it passed');
        await checkRedis(client, context());
      });

      it('leaves the number of connections unchanged after 200 checks of a name that never moves', async () => {
        const { client } = await connect(name.port);
        await until(() => checkRedis(client, context()).then(() => true));
        await failOver();
        const before = await connections(first!);
        const startedAt = performance.now();
        const opened = name.connections;
        const checkFor = (ms: number) => problemOf(checkRedis(client, { signal: AbortSignal.timeout(ms) }));
        for (let round = 0; round < 200; round += 1) await checkFor(20);
        // No more than four times a second, for each connection that the client may have.
        const periods = Math.ceil((performance.now() - startedAt) / 250) + 1;
        const mostConnections = library.startsWith('pool') ? POOL_MAXIMUM : 1;
        expect(name.connections - opened).to.be.at.most(periods * mostConnections);
        await until(async () => (await connections(first!)) === before);
        name.leadTo(second!.port);
        await until(() => checkRedis(client, context()).then(() => true));
      }).timeout(60_000);

      it('keeps the connection to a replica that `allowReadOnly` accepts', async () => {
        const { client } = await connect(name.port);
        await until(() => checkRedis(client, context()).then(() => true));
        await failOver();
        const before = name.connections;
        for (let round = 0; round < 20; round += 1) await checkRedis(client, context(), { allowReadOnly: true });
        expect(name.connections).to.equal(before);
      });
    });
  }

  for (const [library, connect] of Object.entries(clients)) {
    it(`replaces the connection once for several checks at the same time, which all pass (${library})`, async () => {
      const { client } = await connect(name.port);
      await until(() => checkRedis(client, context()).then(() => true));
      await failOver();
      name.leadTo(second!.port);
      const before = name.connections;
      await Promise.all(Array.from({ length: 10 }, () => checkRedis(client, context())));
      expect(name.connections).to.equal(before + 1);
    });
  }

  it('does not call the strategies of a client that is connected to a master', async () => {
    let calls = 0;
    const strategy = () => (calls += 1);
    const one = new Redis({ port: name.port, host: '127.0.0.1', retryStrategy: strategy });
    const other = redis.createClient({ socket: { host: '127.0.0.1', port: name.port, reconnectStrategy: strategy } });
    await other.connect();
    for (const client of [keep(one, () => one.disconnect()).client, keep(other, () => other.destroy()).client]) {
      await until(() => checkRedis(client, context()).then(() => true));
      for (let round = 0; round < 20; round += 1) await checkRedis(client, context());
    }
    expect(calls).to.equal(0);
  });

  const clientsThatEnd: Readonly<Record<string, Connect>> = {
    'an ioredis client without a retryStrategy': async (port) => {
      const client = new Redis({ port, host: '127.0.0.1', retryStrategy: () => null });
      return keep(client, () => client.disconnect());
    },
    'a node-redis client without a reconnectStrategy': async (port) => {
      const client = redis.createClient({ socket: { host: '127.0.0.1', port, reconnectStrategy: false } });
      await client.connect();
      return keep(client, () => client.isOpen && client.destroy());
    },
    'a node-redis client whose reconnectStrategy gives up': async (port) => {
      const client = redis.createClient({ socket: { host: '127.0.0.1', port, reconnectStrategy: () => new Error('no more') } });
      await client.connect();
      return keep(client, () => client.isOpen && client.destroy());
    },
    'a node-redis client without a listener for its errors, which would end the process,': async (port) => {
      const client = redis.createClient({ socket: { host: '127.0.0.1', port } });
      await client.connect();
      const kept = keep(client, () => client.isOpen && client.destroy());
      client.removeAllListeners('error');
      return kept;
    },
  };
  for (const [library, connect] of Object.entries(clientsThatEnd)) {
    it(`does not close the connection of ${library}`, async () => {
      const { client } = await connect(name.port);
      await until(() => checkRedis(client, context()).then(() => true));
      await failOver();
      const before = name.connections;
      expect(await problemOf(checkRedis(client, context()))).to.include('the server is a read-only replica');
      await checkRedis(client, context(), { allowReadOnly: true });
      expect(name.connections).to.equal(before);
    });
  }

  it('reports that there is no other connection yet if nothing listens at the name', async () => {
    const { client } = await (clients['ioredis'] as Connect)(name.port);
    await until(() => checkRedis(client, context()).then(() => true));
    await failOver();
    const nowhere = await startRedis();
    await nowhere.stop();
    name.leadTo(nowhere.port);
    expect(await problemOf(checkRedis(client, { signal: AbortSignal.timeout(500) }))).to.match(
      /a master is needed\..*The client has closed this connection, and has not been connected again for \d+ ms/,
    );
    name.leadTo(second!.port);
    await until(() => checkRedis(client, context()).then(() => true));
  });

  for (const [library, connect] of Object.entries(behindSentinel)) {
    it(`passes after a planned failover by the sentinels (${library})`, async () => {
      const sentinel = await startSentinel(first!);
      try {
        await until(async () => (await sentinel.cli('sentinel', 'replicas', 'main')).includes(String(second!.port)));
        const { client } = await connect(sentinel.port);
        await until(() => checkRedis(client, context()).then(() => true));
        await until(async () => (await sentinel.cli('sentinel', 'failover', 'main')) === 'OK');
        await until(async () => (await second!.cli('role')).startsWith('master') && (await first!.cli('role')).startsWith('slave'), 25_000);
        await until(async () => (await sentinel.cli('sentinel', 'get-master-addr-by-name', 'main')).includes(String(second!.port)));
        await until(() => checkRedis(client, { signal: AbortSignal.timeout(800) }).then(() => true), 10_000);
      } finally {
        await sentinel.stop();
      }
    }).timeout(60_000);
  }
});
