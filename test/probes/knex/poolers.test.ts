import { connect as connectTo, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { once } from 'node:events';
import { chmodSync, chownSync, statSync, writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Container } from 'inversify';
import knex, { type Knex } from 'knex';
import { discoverProbes, type ProbeClass, type ProbeRegistry } from 'koa-probes';
import { checkKnex, DATABASE, DatabaseProbe, type DatabaseTarget } from 'koa-probes/knex';
import { MigrationsProbe } from 'koa-probes/migrations';
import { checkTcp } from 'koa-probes/tcp';
import { Authority } from '../../support/certificates.js';
import { Databases, poolOf } from '../../support/databases.js';
import { stageFault } from '../../support/faults.js';
import { mariadbUrl, startMariadb } from '../../support/mariadb.js';
import { MigrationFolder } from '../../support/migrations.js';
import { Balancer, startPgbouncer } from '../../support/poolers.js';
import { until } from '../../support/processes.js';
import { postgresUrl, startPostgres, type Service } from '../../support/services.js';

const databases = new Databases();
const registries: ProbeRegistry[] = [];
const closing: (() => unknown)[] = [];

const discover = async (target: DatabaseTarget, probe: ProbeClass = DatabaseProbe) => {
  const container = new Container();
  container.bind(DATABASE).toConstantValue(target);
  const registry = await discoverProbes(container, { classes: [probe], logger: false });
  registries.push(registry);
  return registry;
};
const problemOf = (database: Knex, query: string, timeoutMs: number) =>
  checkKnex(database, { signal: AbortSignal.timeout(timeoutMs) }, { query }).then(
    () => undefined,
    (error: unknown) => String(error),
  );
const isIdle = (database: Knex) => poolOf(database).numUsed() === 0 && poolOf(database).numPendingAcquires() === 0;

const QUERY = 'SELECT 1 FROM jobs LIMIT 1';
const STILL_RUNS =
  /: no response: the query of an earlier check has been running at the server for \d+ ms, and cannot be cancelled through this proxy$/;
const CANCEL_REQUEST = 80_877_102;
const SILENT = /^timed out after 800 ms: \S+ \S+: no response: connected, but the query has not been answered for \d+ ms$/;

describe('koa-probes/knex behind a pooler or a proxy', () => {
  let postgres: Service;
  before(async () => (postgres = await startPostgres('max_connections=30')));
  after(() => postgres.stop());
  afterEach(async () => {
    for (const registry of registries.splice(0)) registry.close();
    await databases.close();
    for (const close of closing.splice(0).toReversed()) await close();
  });

  const administer = (max = 1) => databases.connect('pg', postgresUrl(postgres.port), { pool: { min: 0, max } });
  /** Who waits for a lock at the server. */
  const countWaiting = async (admin: Knex) => {
    const { rows } = await admin.raw<{ rows: { count: number }[] }>(
      "SELECT count(*)::int FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND state = 'active'",
    );
    return rows[0]!.count;
  };
  const countBackends = async (admin: Knex) => {
    const { rows } = await admin.raw<{ rows: { count: number }[] }>(
      "SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend'",
    );
    return rows[0]!.count;
  };
  /** A table that is locked from `lock()` to `unlock()`. */
  const makeLocked = async (table: string) => {
    const locker = administer();
    await locker.raw(`CREATE TABLE IF NOT EXISTS ${table} (id int)`);
    return { lock: () => locker.raw(`BEGIN; LOCK TABLE ${table}`), unlock: () => locker.raw('ROLLBACK') };
  };

  for (const mode of ['session', 'transaction', 'statement'] as const) {
    describe(`PgBouncer, pool_mode = ${mode}`, () => {
      let bouncer: Service;
      before(async () => (bouncer = await startPgbouncer(postgres.port, mode)));
      after(() => bouncer.stop());

      it('leaves no query running at the server while a table is locked', async () => {
        const { lock, unlock } = await makeLocked('jobs');
        const admin = administer();
        const database = databases.connect('pg', postgresUrl(bouncer.port), { pool: { min: 0, max: 4 } });
        await stageFault({
          registry: await discover({ knex: database, query: QUERY }),
          probe: 'database',
          fault: `PostgreSQL behind PgBouncer (pool_mode = ${mode}): a table is locked`,
          async begin() {
            await lock();
            for (let round = 0; round < 8; round += 1) {
              expect(await problemOf(database, QUERY, 100)).to.include('no response');
              await until(() => isIdle(database), 1_000);
              expect(await countWaiting(admin)).to.equal(0);
            }
          },
          end: unlock,
          reason: SILENT,
        });
        await until(async () => (await countWaiting(admin)) === 0);
      });
    });
  }

  describe('PgBouncer, pool_mode = transaction', () => {
    let bouncer: Service;
    before(async () => (bouncer = await startPgbouncer(postgres.port, 'transaction')));
    after(() => bouncer.stop());
    const connect = (settings: Partial<Knex.Config> = {}) =>
      databases.connect('pg', postgresUrl(bouncer.port), { pool: { min: 0, max: 4 }, ...settings });

    it('leaves no query of the migrations running at the server while their table is locked', async () => {
      const folder = new MigrationFolder('1_users.cjs');
      closing.push(() => folder.delete());
      const migrations = { directory: folder.path };
      await databases.connect('pg', postgresUrl(postgres.port), { migrations }).migrate.latest();
      const { lock, unlock } = await makeLocked('knex_migrations');
      const admin = administer();
      const database = connect({ migrations });
      const registry = await discover({ knex: database }, MigrationsProbe);
      await stageFault({
        registry,
        probe: 'migrations',
        fault: 'PostgreSQL behind PgBouncer (pool_mode = transaction): the table of migrations is locked',
        async begin() {
          await lock();
          for (let round = 0; round < 3; round += 1) {
            expect((await registry.run('readiness', { only: 'migrations' })).status).to.equal('fail');
            await until(() => isIdle(database), 1_000);
            expect(await countWaiting(admin)).to.equal(0);
          }
        },
        end: unlock,
        reason: SILENT,
      });
    });

    it('leaves the pool, the pooler and the server unchanged after 200 checks of a locked table', async () => {
      const { lock, unlock } = await makeLocked('jobs');
      const admin = administer();
      const database = connect();
      await database.raw('SELECT 1');
      const before = await countBackends(admin);
      await lock();
      // So short a time can be over before there is a connection.
      for (let round = 0; round < 200; round += 1) expect(await problemOf(database, QUERY, 10)).to.match(/: (no response|no connection)/);
      await until(() => isIdle(database));
      expect(await countWaiting(admin)).to.equal(0);
      await unlock();
      expect(poolOf(database).numFree()).to.be.at.most(4);
      // PgBouncer keeps a few connections to the server for later.
      expect(await countBackends(admin)).to.be.at.most(before + 10);
      await database.raw('SELECT 1');
    });

    it('cancels only the query of the check while the application runs others on the same connections of the pooler', async () => {
      const { lock, unlock } = await makeLocked('jobs');
      const database = connect({ pool: { min: 0, max: 2 } });
      const application = connect({ pool: { min: 0, max: 8 } });
      await lock();
      const end = new AbortController();
      const work = Promise.all(
        Array.from({ length: 8 }, async () => {
          while (!end.signal.aborted) await application.raw('SELECT pg_sleep(0.01)');
        }),
      );
      for (let round = 0; round < 20; round += 1) expect(await problemOf(database, QUERY, 30)).to.include('no response');
      end.abort();
      await work;
      await unlock();
    });
  });

  it('fails while the server behind PgBouncer is stopped', async () => {
    const service = await startPostgres();
    closing.push(() => service.stop());
    const bouncer = await startPgbouncer(service.port, 'transaction', 'server_login_retry = 1');
    closing.push(() => bouncer.stop());
    const database = databases.connect('pg', postgresUrl(bouncer.port), { pool: { min: 0, max: 4 } });
    await stageFault({
      registry: await discover({ knex: database, access: 'write' }),
      probe: 'database',
      fault: 'PostgreSQL behind PgBouncer: the server is stopped',
      begin: () => service.halt(),
      end: () => service.start(),
      reason: /: no response: |connection lost: .*\(08P01\)/,
      waitsFor: 'PgBouncer to reconnect (`server_login_retry`)',
    });
  });

  it('reports the message of PgBouncer if it accepts no more clients', async () => {
    const bouncer = await startPgbouncer(postgres.port, 'transaction', 'max_client_conn = 2');
    closing.push(() => bouncer.stop());
    const connect = () =>
      databases.connect('pg', postgresUrl(bouncer.port), { pool: { min: 0, max: 2, idleTimeoutMillis: 10, reapIntervalMillis: 10 } });
    const [database, others] = [connect(), connect()];
    const held: Knex.Transaction[] = [];
    await stageFault({
      registry: await discover({ knex: database, access: 'write' }),
      probe: 'database',
      fault: 'PostgreSQL behind PgBouncer: max_client_conn is reached',
      async begin() {
        await until(() => poolOf(database).numFree() === 0);
        held.push(await others.transaction(), await others.transaction());
      },
      async end() {
        await Promise.all(held.map((transaction) => transaction.rollback()));
        await until(() => poolOf(others).numFree() === 0);
        // PgBouncer sees a moment later that they are gone. One client more leaves a place.
        const another = connect();
        await until(() => another.raw('SELECT 1').then(Boolean, () => false));
        await another.destroy();
      },
      reason: /: rejected: no more connections allowed \(max_client_conn\) \(08P01\)$/,
    });
  });

  describe('two PgBouncers behind one address', () => {
    it('leaves no query running at the server, even if the cancel request reaches the other one first', async () => {
      const bouncers = await Promise.all([startPgbouncer(postgres.port, 'transaction'), startPgbouncer(postgres.port, 'transaction')]);
      const balancer = await Balancer.start([bouncers[0].port, bouncers[1].port], { isSpread: true });
      closing.push(...bouncers.map((bouncer) => () => bouncer.stop()), () => balancer.stop());
      const { lock, unlock } = await makeLocked('jobs');
      const admin = administer();
      const database = databases.connect('pg', postgresUrl(balancer.port), { pool: { min: 0, max: 4 } });
      await stageFault({
        registry: await discover({ knex: database, query: QUERY }),
        probe: 'database',
        fault: 'PostgreSQL behind two PgBouncers: a table is locked',
        async begin() {
          await lock();
          for (let round = 0; round < 8; round += 1) {
            expect(await problemOf(database, QUERY, 100)).to.include('no response');
            await until(() => isIdle(database), 1_000);
            expect(await countWaiting(admin)).to.equal(0);
          }
        },
        end: unlock,
        reason: SILENT,
      });
    });
  });

  describe('a pooler of PostgreSQL that does not forward cancel requests', () => {
    it('starts no query while the query of an earlier check is running', async () => {
      const bouncer = await startPgbouncer(postgres.port, 'transaction');
      closing.push(() => bouncer.stop());
      const proxy = createServer((socket) => {
        socket
          .on('error', () => {})
          .once('data', (first: Buffer) => {
            if (first.readInt32BE(4) === CANCEL_REQUEST) return socket.end();
            const upstream = connectTo(bouncer.port, '127.0.0.1').on('error', () => {});
            upstream.write(first);
            socket.pipe(upstream).pipe(socket);
            return socket.once('close', () => upstream.destroy());
          });
      }).listen(0, '127.0.0.1');
      await once(proxy, 'listening');
      closing.push(() => proxy.close());
      const { lock, unlock } = await makeLocked('jobs');
      const admin = administer();
      const database = databases.connect('pg', postgresUrl((proxy.address() as AddressInfo).port), { pool: { min: 0, max: 4 } });
      await stageFault({
        registry: await discover({ knex: database, query: QUERY }),
        probe: 'database',
        fault: 'PostgreSQL behind a pooler that does not forward cancel requests: a table is locked',
        async begin() {
          await lock();
          await until(async () => (await problemOf(database, QUERY, 800))?.includes('has been running at the server'));
          for (let round = 0; round < 20; round += 1) {
            expect(await problemOf(database, QUERY, 800)).to.include('has been running at the server');
            expect(await countWaiting(admin)).to.equal(1);
          }
        },
        end: unlock,
        reason: STILL_RUNS,
      });
    });
  });

  describe('a proxy that renumbers the connections of MariaDB', () => {
    let mariadb: Service;
    let proxy: Server;
    const upstreams: Socket[] = [];
    before(async () => {
      mariadb = await startMariadb();
      proxy = createServer((socket) => {
        const upstream = connectTo(mariadb.port, '127.0.0.1').on('error', () => {});
        // As a proxy that keeps its connections to the server: a MariaDB that is told that the client is gone ends a wait for a lock within 1 s.
        socket.on('error', () => {}).pipe(upstream, { end: false });
        // The greeting: 4 bytes of a header, the version of the protocol, that of the server up to a zero, the number.
        upstream.once('data', (greeting: Buffer) => {
          const at = greeting.indexOf(0, 5) + 1;
          greeting.writeUInt32LE(greeting.readUInt32LE(at) + 1_000_000, at);
          socket.write(greeting);
          upstream.pipe(socket);
        });
        socket.once('close', () => upstream.unpipe().resume());
        upstreams.push(upstream);
      }).listen(0, '127.0.0.1');
      await once(proxy, 'listening');
    });
    after(async () => {
      proxy.close();
      for (const upstream of upstreams) upstream.destroy();
      await mariadb.stop();
    });

    for (const { what, probe, query } of [
      { what: 'a table', probe: DatabaseProbe, query: 'SELECT * FROM jobs' },
      { what: 'the table of migrations', probe: MigrationsProbe, query: undefined },
    ]) {
      it(`starts no query while the query of an earlier check is running and ${what} stays locked`, async () => {
        const folder = new MigrationFolder('1_users.cjs');
        closing.push(() => folder.delete());
        const settings = { pool: { min: 0, max: 4 }, migrations: { directory: folder.path } };
        const admin = databases.connect('mysql2', mariadbUrl(mariadb.port), settings);
        const locker = databases.connect('mysql2', mariadbUrl(mariadb.port), { pool: { min: 0, max: 1 } });
        await admin.migrate.latest();
        await admin.raw('CREATE TABLE IF NOT EXISTS jobs (id int)');
        const database = databases.connect('mysql2', mariadbUrl((proxy.address() as AddressInfo).port), settings);
        const registry = await discover({ knex: database, query }, probe);
        const name = probe === DatabaseProbe ? 'database' : 'migrations';
        const countLocked = async () => {
          const [rows] = (await admin.raw("SELECT id FROM information_schema.processlist WHERE state LIKE 'Waiting for table%'")) as [
            unknown[],
          ];
          return rows.length;
        };
        await stageFault({
          registry,
          probe: name,
          fault: `MariaDB behind a proxy that renumbers connections: ${what} is locked`,
          async begin() {
            await locker.raw(`LOCK TABLES ${query === undefined ? 'knex_migrations' : 'jobs'} WRITE`);
            await until(async () => {
              const [result] = (await registry.run('readiness', { only: name })).results;
              return result?.failure?.detail.includes('has been running at the server');
            });
            for (let round = 0; round < 20; round += 1) await registry.run('readiness', { only: name });
            expect(await countLocked()).to.be.at.most(1);
          },
          end: () => locker.raw('UNLOCK TABLES'),
          reason:
            /: no response: the query of an earlier check has been running at the server for \d+ ms, and cannot be cancelled through this proxy$/,
        });
        await until(async () => (await countLocked()) === 0);
      });
    }
  });

  it('reports that MariaDB has blocked the host, which a TcpProbe on its port can cause', async () => {
    const address = Object.values(networkInterfaces())
      .flat()
      .find((one) => one?.family === 'IPv4' && !one.internal)?.address;
    if (address === undefined) throw new Error('MariaDB does not block the loopback: give the machine a network.');
    const mariadb = await startMariadb('--max-connect-errors=3', `--bind-address=0.0.0.0`, '--skip-name-resolve=OFF');
    closing.push(() => mariadb.stop());
    const admin = databases.connect('mysql2', mariadbUrl(mariadb.port));
    await admin.raw("CREATE USER app IDENTIFIED BY 'right'");
    await admin.raw('GRANT ALL ON app.* TO app');
    // The connections that are open stay so: the check meets it when it needs a new one.
    const pool = { min: 0, max: 2, idleTimeoutMillis: 10, reapIntervalMillis: 10 };
    const database = databases.connect('mysql2', `mysql://app:right@${address}:${String(mariadb.port)}/app`, { pool });
    await stageFault({
      registry: await discover({ knex: database, access: 'write' }),
      probe: 'database',
      fault: 'MariaDB: a TcpProbe on its port has exceeded max_connect_errors',
      async begin() {
        await until(() => poolOf(database).numFree() === 0);
        const probe = { host: address, port: mariadb.port };
        await until(async () => {
          for (let round = 0; round < 10; round += 1) await checkTcp(probe, { signal: AbortSignal.timeout(5_000) });
          return (await problemOf(database, 'SELECT 1', 5_000))?.includes('is blocked');
        });
      },
      end: () => admin.raw('FLUSH HOSTS'),
      reason:
        /: rejected: Host '\S+' is blocked because of many connection errors; unblock with 'mariadb-admin flush-hosts' \(ER_HOST_IS_BLOCKED\)$/,
    });
  });

  describe('TLS', () => {
    it('sends the cancel request over TLS and checks the same certificate', async () => {
      const authority = await new Authority().start();
      closing.push(() => authority.stop());
      const { cert, key } = await authority.issue({ names: 'DNS:localhost' });
      const secure = await startPostgres();
      closing.push(() => secure.stop());
      const admin = databases.connect('pg', postgresUrl(secure.port), { pool: { min: 0, max: 1 } });
      const { rows } = await admin.raw<{ rows: { folder: string }[] }>("SELECT current_setting('data_directory') AS folder");
      const folder = rows[0]!.folder;
      for (const [name, text] of Object.entries({ 'server.crt': cert, 'server.key': key })) {
        writeFileSync(join(folder, name), text);
        chmodSync(join(folder, name), 0o600);
        chownSync(join(folder, name), statSync(folder).uid, statSync(folder).gid);
      }
      await admin.raw('ALTER SYSTEM SET ssl = on');
      await admin.raw('SELECT pg_reload_conf()');
      const greetings: Buffer[] = [];
      const proxy = createServer((socket) => {
        const upstream = connectTo(secure.port, '127.0.0.1').on('error', () => {});
        socket.once('data', (first) => greetings.push(first));
        socket
          .on('error', () => {})
          .pipe(upstream)
          .pipe(socket);
        socket.once('close', () => upstream.destroy());
      }).listen(0, '127.0.0.1');
      await once(proxy, 'listening');
      closing.push(() => proxy.close());
      const connection = {
        host: 'localhost',
        port: (proxy.address() as AddressInfo).port,
        user: 'postgres',
        database: 'postgres',
        ssl: { ca: authority.ca },
      };
      const database = databases.add(knex({ client: 'pg', connection, pool: { min: 0, max: 1 }, log: { warn() {} } }));
      await until(async () => (await problemOf(database, 'SELECT 1', 5_000)) === undefined);
      greetings.length = 0;
      expect(await problemOf(database, 'SELECT pg_sleep(60)', 300)).to.include('no response');
      await until(() => isIdle(database));
      expect(await countRunning(admin, 'SELECT pg_sleep(60)')).to.equal(0);
      // SSLRequest, and nothing before it.
      expect(greetings.map((greeting) => greeting.toString('hex'))).to.deep.equal(['0000000804d2162f']);
    });
  });

  it('sends the cancel request to a UNIX socket', async () => {
    const admin = administer();
    const { rows } = await admin.raw<{ rows: { folder: string }[] }>("SELECT current_setting('unix_socket_directories') AS folder");
    const connection = { host: rows[0]!.folder, port: postgres.port, user: 'postgres', database: 'postgres' };
    const database = databases.add(knex({ client: 'pg', connection, pool: { min: 0, max: 1 }, log: { warn() {} } }));
    expect(await problemOf(database, 'SELECT pg_sleep(60)', 300)).to.include('no response');
    await until(() => isIdle(database));
    expect(await countRunning(admin, 'SELECT pg_sleep(60)')).to.equal(0);
  });
});

async function countRunning(admin: Knex, query: string): Promise<number> {
  const { rows } = await admin.raw<{ rows: unknown[] }>('SELECT pid FROM pg_stat_activity WHERE query = ? AND state = ?', [
    query,
    'active',
  ]);
  return rows.length;
}
