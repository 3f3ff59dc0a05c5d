import { expect } from 'chai';
import { Container } from 'inversify';
import knex, { type Knex } from 'knex';
import { ConfigurationError, discoverProbes, type ProbeRegistry } from 'koa-probes';
import { DATABASE, DatabaseProbe } from 'koa-probes/knex';
import { until } from './support/processes.js';
import { MemoryLogger } from './support/probes.js';
import { postgresUrl, startPostgres, type Service } from './support/services.js';

describe('koa-probes/knex', () => {
  let postgres: Service;
  before(async () => (postgres = await startPostgres()));
  after(() => postgres.stop());

  const databases: Knex[] = [];
  const registries: ProbeRegistry[] = [];
  afterEach(async () => {
    for (const registry of registries.splice(0)) registry.close();
    await Promise.all(databases.splice(0).map((database) => database.destroy()));
  });

  const connectTo = (url: string, client = 'pg') => {
    const database = knex({ client, connection: url, pool: { min: 0, max: 2 }, useNullAsDefault: true });
    databases.push(database);
    return database;
  };
  const discover = async (bound: Knex[], options: object = {}) => {
    const container = new Container();
    for (const database of bound) container.bind(DATABASE).toConstantValue(database);
    const registry = await discoverProbes(container, { classes: [DatabaseProbe], logger: false, ...options });
    registries.push(registry);
    return registry;
  };
  const databaseOf = async (registry: ProbeRegistry) => {
    const { results } = await registry.run('readiness');
    return results.find(({ name }) => name === 'database');
  };

  describe('DatabaseProbe', () => {
    it('passes while PostgreSQL answers, fails while it is stopped, and passes again when it is back', async () => {
      const logger = new MemoryLogger();
      const registry = await discover([connectTo(postgresUrl(postgres.port))], { logger });
      expect((await databaseOf(registry))?.status).to.equal('pass');
      await postgres.halt();
      expect((await databaseOf(registry))?.status).to.equal('fail');
      expect(logger.lines.join()).to.match(/readiness probe database failed: /);
      await postgres.start();
      await until(async () => (await databaseOf(registry))?.status === 'pass');
    });

    it('fails at its timeout while PostgreSQL is frozen, and passes again when it goes on', async () => {
      const registry = await discover([connectTo(postgresUrl(postgres.port))], { settings: { database: { timeoutMs: 200 } } });
      expect((await databaseOf(registry))?.status).to.equal('pass');
      postgres.freeze();
      try {
        expect(String((await databaseOf(registry))?.error)).to.include('timed out after 200 ms');
      } finally {
        postgres.thaw();
      }
      await until(async () => (await databaseOf(registry))?.status === 'pass');
    });

    it('checks every database that is bound', async () => {
      const embedded = connectTo(':memory:', 'better-sqlite3');
      expect((await databaseOf(await discover([embedded, connectTo(postgresUrl(postgres.port))])))?.status).to.equal('pass');
      const refused = connectTo('postgres://postgres@127.0.0.1:1/postgres');
      const result = await databaseOf(await discover([embedded, refused]));
      expect(result?.status).to.equal('fail');
      expect(String(result?.error)).to.include('ECONNREFUSED');
    });

    it('finds what a parent container binds', async () => {
      const parent = new Container();
      parent.bind(DATABASE).toConstantValue(connectTo(':memory:', 'better-sqlite3'));
      const registry = await discoverProbes(new Container({ parent }), { classes: [DatabaseProbe], logger: false });
      expect((await databaseOf(registry))?.status).to.equal('pass');
    });

    it('fails the start where nothing is bound to DATABASE, and says what to bind', async () => {
      const problem: unknown = await discover([]).catch((error: unknown) => error);
      expect(problem).to.satisfy(ConfigurationError.is);
      expect(String(problem)).to.match(/cannot make DatabaseProbe\. .*nothing is bound to DATABASE\. Call container\.bind\(DATABASE\)/);
    });
  });

  describe('checkKnex(knex, context)', () => {
    it('does not pile up on the pool of the application while PostgreSQL is frozen', async () => {
      const database = connectTo(postgresUrl(postgres.port));
      const registry = await discover([database], { settings: { database: { timeoutMs: 50 } } });
      expect((await databaseOf(registry))?.status).to.equal('pass');
      postgres.freeze();
      try {
        for (let round = 0; round < 10; round += 1) await databaseOf(registry);
        const { pool } = database.client as { pool: { numUsed(): number; numPendingAcquires(): number } };
        expect(pool.numUsed() + pool.numPendingAcquires()).to.be.at.most(2);
      } finally {
        postgres.thaw();
      }
      await until(async () => (await databaseOf(registry))?.status === 'pass');
    });
  });
});
