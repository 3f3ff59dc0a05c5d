import type { EventEmitter } from 'node:events';
import { createRequire } from 'node:module';
import { expect } from 'chai';
import { Container } from 'inversify';
import knex, { type Knex } from 'knex';
import { ConfigurationError, Degraded, discoverProbes, NotReady, type ProbeRegistry } from 'koa-probes';
import { checkKnex, DATABASE, DatabaseProbe, type CheckKnexOptions, type DatabaseTarget } from 'koa-probes/knex';
import { Databases, databaseServers, poolOf } from '../../support/databases.js';
import { stageFault, stageHarmless } from '../../support/faults.js';
import { GaleraCluster } from '../../support/galera.js';
import { Balancer } from '../../support/poolers.js';
import { until } from '../../support/processes.js';
import { postgresUrl, startStandby, type Service } from '../../support/services.js';

const patiently = () => AbortSignal.timeout(10_000);
const databases = new Databases();
const registries: ProbeRegistry[] = [];

const discover = async (...bound: (Knex | DatabaseTarget)[]) => {
  const container = new Container();
  for (const one of bound) container.bind(DATABASE).toConstantValue(one);
  const registry = await discoverProbes(container, { classes: [DatabaseProbe], logger: false });
  registries.push(registry);
  return registry;
};
/** The message of a check that fails, or nothing if it passes. */
const problemOf = (database: Knex, options?: CheckKnexOptions) =>
  checkKnex(database, { signal: patiently() }, options).then(
    () => undefined,
    (error: unknown) => String(error),
  );
/** Opens idle connections as an application does: they stay in the pool. */
const openIdle = async (database: Knex, count: number) => {
  const held = await Promise.all(Array.from({ length: count }, () => database.transaction()));
  await Promise.all(held.map((transaction) => transaction.rollback()));
};

describe('koa-probes/knex with `access`', () => {
  afterEach(async () => {
    for (const registry of registries.splice(0)) registry.close();
    await databases.close();
  });

  const [postgres, mariadb] = databaseServers as [(typeof databaseServers)[0], (typeof databaseServers)[0]];

  describe('on PostgreSQL with a standby', () => {
    let primary: Service;
    let standby: Service;
    let balancer: Balancer;
    const setReadOnly = async (service: Service, value: 'on' | 'off') => {
      const admin = databases.connect('pg', postgresUrl(service.port));
      await admin.raw(`ALTER SYSTEM SET default_transaction_read_only = ${value}`);
      await admin.raw('SELECT pg_reload_conf()');
      const fresh = databases.connect('pg', postgresUrl(service.port), { pool: { min: 0, max: 1 } });
      await until(async () => {
        const { rows } = await fresh.raw<{ rows: object[] }>('SHOW default_transaction_read_only');
        return Object.values(rows[0] ?? {})[0] === value;
      });
    };

    before(async () => {
      primary = await postgres.start();
      standby = await startStandby(primary.port);
      balancer = await Balancer.start([primary.port, standby.port]);
    });
    after(async () => {
      await balancer.stop();
      await standby.stop();
      await primary.stop();
    });

    it('passes on a standby with `read` and without options, and fails with `write`', async () => {
      const database = databases.connect('pg', postgresUrl(standby.port));
      expect(await problemOf(database)).to.equal(undefined);
      expect(await problemOf(database, { access: 'read' })).to.equal(undefined);
      expect(await problemOf(database, { access: 'write' })).to.match(
        /^Error: postgresql 127\.0\.0\.1:\d+\/postgres: the server is read-only: transaction_read_only is on\. It is a standby/,
      );
    });

    it('fails while default_transaction_read_only is on', async () => {
      const database = databases.connect('pg', postgresUrl(primary.port));
      await stageFault({
        registry: await discover({ knex: database, name: 'orders', access: 'write' }),
        probe: 'database',
        fault: 'PostgreSQL: default_transaction_read_only is on',
        begin: () => setReadOnly(primary, 'on'),
        end: () => setReadOnly(primary, 'off'),
        reason: /^orders: postgresql \S+: the server is read-only: transaction_read_only is on/,
      });
    });

    it('leaves the pool and the server unchanged after 200 checks of a read-only server', async () => {
      const database = databases.connect('pg', postgresUrl(standby.port), { pool: { min: 0, max: 4 } });
      await openIdle(database, 4);
      for (let round = 0; round < 200; round += 1) expect(await problemOf(database, { access: 'write' })).to.include('read-only');
      await until(() => poolOf(database).numUsed() === 0 && poolOf(database).numPendingAcquires() === 0);
      const admin = databases.connect('pg', postgresUrl(standby.port), { pool: { min: 0, max: 1 } });
      await until(async () => {
        const { rows } = await admin.raw<{ rows: { count: number }[] }>(
          "SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
        );
        return (rows[0]?.count ?? 9) <= 4;
      });
    });

    it("closes the connections of the driver's own pool too", async () => {
      const { Pool } = createRequire(import.meta.url)('pg') as { Pool: new (settings: object) => Knex.PgPoolLike & EventEmitter };
      const own = new Pool({ connectionString: postgresUrl(standby.port), max: 2 });
      own.on('error', () => {});
      const database = databases.add(knex({ client: 'pg', connectionPool: own }));
      for (let round = 0; round < 20; round += 1) expect(await problemOf(database, { access: 'write' })).to.include('read-only');
      expect([own.totalCount, own.waitingCount]).to.deep.equal([0, 0]);
      expect(await problemOf(database, { freshConnectionEveryMs: 1 })).to.include(
        'needs a Knex instance for PostgreSQL, MySQL or MariaDB with `connection`',
      );
      await own.end();
    });

    it('finds the new primary after a failover, although the pool has ten connections to the old one', async () => {
      const database = databases.connect('pg', postgresUrl(balancer.port), { pool: { min: 0, max: 10 } });
      await stageFault({
        registry: await discover({ knex: database, access: 'write' }),
        probe: 'database',
        fault: 'PostgreSQL: after a failover behind HAProxy, ten connections still lead to the old primary, which is read-only',
        async begin() {
          await openIdle(database, 10);
          await setReadOnly(primary, 'on');
        },
        async end() {
          await databases.connect('pg', postgresUrl(standby.port)).raw('SELECT pg_promote()');
          await balancer.switchTo(1);
        },
        reason: /: the server is read-only: transaction_read_only is on/,
      });
      // No request of the application was needed, and none meets the old primary.
      await database.raw('CREATE TABLE written (id int)');
    });
  });

  describe('on MariaDB', () => {
    let [old, next]: Service[] = [];
    let balancer: Balancer;
    const administer = (service: Service) => databases.connect('mysql2', mariadb.adminUrl(service.port));
    before(async () => {
      [old, next] = await Promise.all([mariadb.start(), mariadb.start()]);
      for (const service of [old, next]) await mariadb.createUser(administer(service));
      balancer = await Balancer.start([old.port, next.port]);
    });
    after(async () => {
      await balancer.stop();
      await Promise.all([old!.stop(), next!.stop()]);
    });

    for (const { what, settings } of [
      { what: 'read_only', settings: ['read_only = 1', 'read_only = 0'] },
      { what: 'tx_read_only', settings: ['tx_read_only = 1', 'tx_read_only = 0'] },
    ]) {
      it(`fails with \`write\` while ${what} is ON, and passes with \`read\` and without options`, async () => {
        const admin = administer(old!);
        // The default of transactions is that of the connections that come.
        const pool = { min: 0, max: 2, idleTimeoutMillis: 10, reapIntervalMillis: 10 };
        const database = databases.connect('mysql2', mariadb.appUrl(old!.port), { pool });
        const registry = await discover({ knex: database, access: 'write' });
        const others = await discover({ knex: database, access: 'read' }, database);
        const set = async (setting: string | undefined) => {
          await admin.raw(`SET GLOBAL ${String(setting)}`);
          await until(() => poolOf(database).numFree() === 0);
        };
        await stageFault({
          registry,
          probe: 'database',
          fault: `MariaDB: ${what} is ON`,
          async begin() {
            await set(settings[0]);
            const written = await database.raw('CREATE TABLE written (id int)').catch((error: unknown) => (error as { code: string }).code);
            expect(written).to.match(/^ER_(OPTION_PREVENTS_STATEMENT|CANT_EXECUTE_IN_READ_ONLY_TRANSACTION)$/);
            await stageHarmless({ registry: others, probe: 'database', fault: `MariaDB: ${what} is ON, for \`read\``, begin: () => {} });
          },
          end: () => set(settings[1]),
          reason: new RegExp(`: the server is read-only: ${what} is ON$`),
        });
      });
    }

    it('finds the new primary after a failover, although the pool has ten connections to the old one', async () => {
      const database = databases.connect('mysql2', mariadb.appUrl(balancer.port), { pool: { min: 0, max: 10 } });
      await stageFault({
        registry: await discover({ knex: database, access: 'write' }),
        probe: 'database',
        fault: 'MariaDB: after a failover behind HAProxy, ten connections still lead to the old primary, which is read-only',
        async begin() {
          await openIdle(database, 10);
          await administer(old!).raw('SET GLOBAL read_only = 1');
        },
        end: () => balancer.switchTo(1),
        reason: /: the server is read-only: read_only is ON$/,
      });
      await database.raw('CREATE TABLE written (id int)');
      await administer(old!).raw('SET GLOBAL read_only = 0');
      await balancer.switchTo(0);
    });

    it('passes while wsrep_ready is OFF, which is normal without a cluster', async () => {
      const [rows] = (await administer(old!).raw("SHOW STATUS LIKE 'wsrep_ready'")) as [{ Value: string }[]];
      expect(rows[0]?.Value).to.equal('OFF');
      expect(await problemOf(administer(old!), { access: 'write' })).to.equal(undefined);
    });
  });

  describe('on a Galera cluster', () => {
    let cluster: GaleraCluster;
    before(async function () {
      this.timeout(60_000);
      cluster = await GaleraCluster.start();
      await mariadb.createUser(databases.connect('mysql2', mariadb.adminUrl(cluster.node.port)));
    });
    after(() => cluster.stop());

    it('fails without a quorum for every access', async function () {
      this.timeout(60_000);
      const connect = () => databases.connect('mysql2', mariadb.appUrl(cluster.node.port), { pool: { min: 0, max: 4 } });
      const database = connect();
      const bare = connect();
      await openIdle(database, 4);
      await stageFault({
        registry: await discover(database),
        probe: 'database',
        fault: 'MariaDB with Galera: the node has no quorum',
        async begin() {
          await cluster.loseQuorum();
          // What makes this fault hard to see.
          await bare.raw('SELECT 1');
          expect(String(await bare.raw('SELECT * FROM mysql.user').catch(String))).to.include('WSREP has not yet prepared node');
          for (const options of [{}, { access: 'read' }, { access: 'write' }, { query: 'SELECT 2' }] as const) {
            expect(await problemOf(bare, options)).to.include('the node accepts no statements');
          }
          for (let round = 0; round < 200; round += 1) expect(await problemOf(bare)).to.include('the node accepts no statements');
          await until(() => poolOf(bare).numUsed() === 0 && poolOf(bare).numFree() <= 1);
        },
        end: () => cluster.regainQuorum(),
        reason: /: the node accepts no statements: wsrep_ready is OFF, wsrep_cluster_status is non-Primary$/,
      });
    });
  });

  describe('on SQLite', () => {
    it('fails with `write` while query_only is on', async () => {
      const database = databases.embed();
      await stageFault({
        registry: await discover({ knex: database, access: 'write' }),
        probe: 'database',
        fault: 'SQLite: query_only is on',
        begin: () => database.raw('PRAGMA query_only = 1'),
        end: () => database.raw('PRAGMA query_only = 0'),
        reason: /^sqlite3 :memory:: the database is read-only: query_only is on$/,
      });
    });
  });

  describe('with `query` and `expect`', () => {
    it('reports briefly what is wrong with the expectation or the result', async () => {
      const database = databases.embed();
      const signal = AbortSignal.timeout(10_000);
      const problem = (query: string, expected: unknown) =>
        checkKnex(database, { signal }, { query, expect: expected as never }).then(
          () => 'passes',
          (error: unknown) => String(error),
        );
      expect(await problem('SELECT 7 AS n', 7n)).to.equal('passes');
      expect(await problem("SELECT '7' AS n", 7)).to.equal('passes');
      expect(await problem('SELECT NULL AS n', null)).to.equal('passes');
      expect(await problem('SELECT NULL AS n', 0)).to.include('the query returned null, expected 0');
      expect(await problem('SELECT 1 AS n WHERE 0', 1n)).to.include('no rows, expected');
      expect(await problem('SELECT 1', async () => true)).to.include('It cannot be asynchronous');
      expect(await problem('SELECT 1', () => undefined)).to.include('to return true or false, got `undefined`');
      expect(await problem('SELECT 1', () => new Error('no row'))).to.include('got no row');
      expect((await problem(`SELECT '${'x'.repeat(5_000)}' AS n`, 'y')).length).to.be.below(500);
    });

    let service: Service;
    before(async () => (service = await postgres.start()));
    after(() => service.stop());
    const connect = () => databases.connect('pg', postgres.adminUrl(service.port));

    it('fails while the result is not as expected, and passes again when it is', async () => {
      const database = connect();
      await database.raw('CREATE TABLE regions (name text)');
      const query = 'SELECT count(*) FROM regions';
      await stageFault({
        registry: await discover({ knex: database, query, expect: 0 }),
        probe: 'database',
        fault: 'PostgreSQL: the query returns an unexpected result',
        begin: () => database.raw("INSERT INTO regions VALUES ('north')"),
        end: () => database.raw('DELETE FROM regions'),
        // pg gives it as text.
        reason: /: the query returned "1", expected 0$/,
      });
    });

    for (const { query, expected, problem } of [
      { query: "SELECT 'primary' AS role", expected: 'primary', problem: undefined },
      { query: "SELECT 'standby' AS role", expected: 'primary', problem: 'the query returned "standby", expected "primary"' },
      { query: 'SELECT 1::bigint', expected: 1n, problem: undefined },
      { query: 'SELECT 1', expected: '1', problem: undefined },
      { query: "SELECT 'a'", expected: 1, problem: 'the query returned "a", expected 1' },
      { query: 'SELECT true', expected: true, problem: undefined },
      { query: 'SELECT true', expected: 'true', problem: 'the query returned true, expected "true"' },
      { query: 'SELECT NULL', expected: null, problem: undefined },
      { query: 'SELECT 1 WHERE false', expected: 1, problem: 'the query returned no rows, expected 1' },
      { query: 'SELECT 1; SELECT 2 AS last', expected: 2, problem: undefined },
      { query: 'SELECT 1 AS a, 2 AS b', expected: (rows: readonly object[]) => rows.length === 1, problem: undefined },
      { query: 'SELECT 1 AS a', expected: () => false, problem: 'the result of the query is not as expected: [{"a":1}]' },
      {
        query: 'SELECT 1',
        expected: () => undefined as never,
        problem: 'Expected the function `expect` to return true or false, got `undefined`',
      },
      {
        query: 'SELECT 1',
        expected: async () => true as never,
        problem: 'to return true or false, got an object. It cannot be asynchronous.',
      },
    ]) {
      it(`${problem === undefined ? 'passes' : 'fails'} for ${query} with ${typeof expected === 'function' ? expected.toString() : typeof expected}`, async () => {
        const result = await problemOf(connect(), { query, expect: expected as never });
        if (problem === undefined) expect(result).to.equal(undefined);
        else expect(result).to.include(problem);
      });
    }

    it('lets an `expect` function throw NotReady or Degraded', async () => {
      const throwing = (error: Error) => () => {
        throw error;
      };
      for (const error of [new NotReady('no regions'), new Degraded('few regions')]) {
        const options = { query: 'SELECT 1', expect: throwing(error) };
        const problem: unknown = await checkKnex(connect(), { signal: patiently() }, options).catch((one: unknown) => one);
        expect(problem).to.equal(error);
      }
    });

    it('sends the query in addition to the statements of `access`', async () => {
      expect(await problemOf(connect(), { access: 'write', query: 'SELECT 2', expect: 3 })).to.include('returned 2, expected 3');
    });
  });

  describe('with wrong options', () => {
    for (const { options, message } of [
      { options: { access: 'all' }, message: /Expected `access` of .* to be one of "read", "write", `undefined`, got "all"/ },
      { options: { name: ' ' }, message: /Expected `name` of .* to be a non-empty string, got " "/ },
      { options: { expect: 1 }, message: /`expect` of .* needs a `query`/ },
      {
        options: { query: 'SELECT 1', expect: {} },
        message: /Expected `expect` of .* to be a value or a function of the rows, got an object/,
      },
      { options: { acess: 'write' }, message: /Unknown option `acess` of .*Known options: `name`, `access`/ },
      { options: { freshConnectionEveryMs: 0 }, message: /Expected `freshConnectionEveryMs` of .* to be a number of milliseconds/ },
      {
        options: { freshConnectionEveryMs: 1_000 },
        message: /`freshConnectionEveryMs` of .* needs a Knex instance for PostgreSQL, MySQL or MariaDB/,
      },
    ]) {
      it(`rejects ${JSON.stringify(options)}, and fails the start`, async () => {
        const database = databases.embed();
        const problem: unknown = await checkKnex(database, { signal: patiently() }, options as never).catch((error: unknown) => error);
        expect(problem).to.satisfy(ConfigurationError.is);
        expect(String(problem)).to.match(message);
        const atStart: unknown = await discover({ knex: database, ...options } as never).catch((error: unknown) => error);
        expect(atStart).to.satisfy(ConfigurationError.is);
        expect(String(atStart)).to.match(message);
      });
    }

    it('rejects `write` for a dialect in which it cannot be checked, and says what to do', async () => {
      const database = knex({ client: 'redshift' });
      expect(await problemOf(database, { access: 'write' })).to.match(
        /cannot be checked in the dialect redshift\. Leave the option out, and check the access with `query`/,
      );
    });
  });
});
