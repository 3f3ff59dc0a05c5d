import { expect } from 'chai';
import { checkRedis } from 'koa-probes/redis';
import { stageFault } from '../../support/faults.js';
import { freePort, until } from '../../support/processes.js';
import { clients, closeClients, context, discover, problemOf } from '../../support/redis-clients.js';
import { startRedis, type RedisService } from '../../support/redis.js';

describe('checkRedis() with `maxLagMs`', () => {
  let [master, replica]: RedisService[] = [];
  before(async () => {
    master = await startRedis('--repl-ping-replica-period', '1');
    replica = await startRedis('--replicaof', '127.0.0.1', String(master.port));
  });
  after(() => Promise.all([master?.stop(), replica?.stop()]));
  beforeEach(() => until(async () => (await replica!.cli('info', 'replication')).includes('master_link_status:up')));
  afterEach(closeClients);

  for (const [name, connect] of Object.entries(clients)) {
    it(`fails while the replica has no link to its master (${name})`, async () => {
      const { client } = await connect(replica!.port);
      const registry = await discover({ client, allowReadOnly: true, maxLagMs: 1_000 });
      await stageFault({
        registry,
        probe: 'redis',
        fault: `the replica has lost its master, and \`maxLagMs\` is 1 s (${name})`,
        waitsFor: 'the replica to reconnect to its master',
        begin: async () => {
          await master!.halt();
          await until(
            async () => (await problemOf(checkRedis(client, context(), { allowReadOnly: true, maxLagMs: 1_000 }))) !== 'it passed',
          );
          await checkRedis(client, context(), { allowReadOnly: true });
          await checkRedis(client, context(), { allowReadOnly: true, maxLagMs: 3_600_000 });
        },
        end: () => master!.start(),
        reason: new RegExp(
          `the replica has had no link to its master 127\\.0\\.0\\.1:${String(master!.port)} for [23] s, more than \`maxLagMs\` allows \\(1 s\\)`,
        ),
      });
    });
  }

  const connect = clients['ioredis']!;

  it('fails while a connected master does not respond', async () => {
    const { client } = await connect(replica!.port);
    await until(() => checkRedis(client, context(), { allowReadOnly: true, maxLagMs: 3_000 }).then(() => true));
    master!.freeze();
    try {
      await until(async () =>
        /the replica has heard nothing from its master 127\.0\.0\.1:\d+ for [234] s, more than `maxLagMs` allows \(1 s\)/.test(
          await problemOf(checkRedis(client, context(), { allowReadOnly: true, maxLagMs: 1_000 })),
        ),
      );
    } finally {
      master!.thaw();
    }
  });

  it('passes on a master', async () => {
    const { client } = await connect(master!.port);
    await until(() => checkRedis(client, context(), { allowReadOnly: true, maxLagMs: 1 }).then(() => true));
  });

  it('fails if the replica has never found its master', async () => {
    const lonely = await startRedis('--replicaof', '127.0.0.1', String(await freePort()));
    const { client } = await connect(lonely.port);
    await until(() => checkRedis(client, context(), { allowReadOnly: true }).then(() => true));
    expect(await problemOf(checkRedis(client, context(), { allowReadOnly: true, maxLagMs: 3_600_000 }))).to.match(
      /the replica has had no link to its master 127\.0\.0\.1:\d+ since it was started$/,
    );
    await lonely.stop();
  });

  it('fails if the user may not run INFO, and says what to allow', async () => {
    const { client } = await connect(replica!.port);
    await until(() => checkRedis(client, context(), { allowReadOnly: true }).then(() => true));
    await replica!.cli('acl', 'setuser', 'default', '-info');
    expect(await problemOf(checkRedis(client, context(), { allowReadOnly: true, maxLagMs: 60_000 }))).to.match(
      /`maxLagMs` needs INFO, but the user may not run it\. Allow \+info: NOPERM/,
    );
    await replica!.cli('acl', 'setuser', 'default', '+info');
  });
});
