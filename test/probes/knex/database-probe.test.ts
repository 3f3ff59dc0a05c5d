import { once, type EventEmitter } from 'node:events';
import { mkdtempSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { connect as connectTo, createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Container } from 'inversify';
import knex, { type Knex } from 'knex';
import { ConfigurationError, discoverProbes, ProbeRegistry, type ProbeContext } from 'koa-probes';
import { checkKnex, DATABASE, DATABASE_OPTIONS, DatabaseProbe, type DatabaseProbeOptions, type CheckKnexOptions } from 'koa-probes/knex';
import { abortAfterQuery, Databases, databaseServers, poolOf, querySent } from '../../support/databases.js';
import { stageFault, stageHarmless } from '../../support/faults.js';
import { freePort, until } from '../../support/processes.js';
import { MemoryLogger } from '../../support/probes.js';
import type { Service } from '../../support/services.js';
import { SilentProxy } from '../../support/silent-proxy.js';

/** For a fault that is answered when the signal is aborted: short, so that it is staged quickly. */
const SHORT_MS = 300;

/** For whatever is answered at once, and on a busy machine a little later. */
const PATIENT_MS = 10_000;
const patiently = () => AbortSignal.timeout(PATIENT_MS);

/** Waits as long as somebody else has the table. */
const LOCKED = 'SELECT * FROM locked';

const databases = new Databases();
const registries: ProbeRegistry[] = [];

const discover = async (bound: Knex[], options: { logger?: MemoryLogger } = {}) => {
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
/** The message of a check that fails, or nothing where it passes. */
const problemOf = (database: Knex, options?: CheckKnexOptions, signal = patiently()) =>
  checkKnex(database, { signal }, options).then(
    () => undefined,
    (error: unknown) => String(error),
  );
const isIdle = (database: Knex) => poolOf(database).numUsed() === 0 && poolOf(database).numPendingAcquires() === 0;

describe('koa-probes/knex', () => {
  afterEach(async () => {
    for (const registry of registries.splice(0)) registry.close();
    await databases.close();
  });

  for (const { name, client, sleep, ...server } of databaseServers) {
    describe(`on ${name}`, () => {
      let service: Service;
      const connect = (settings: Partial<Knex.Config> = {}) => databases.connect(client, server.appUrl(service.port), settings);
      const administer = (settings?: Partial<Knex.Config>) => databases.connect(client, server.adminUrl(service.port), settings);

      before(async () => {
        service = await server.start();
        await server.createUser(administer());
        await databases.close();
      });
      after(() => service.stop());

      describe('DatabaseProbe', () => {
        const stage = async (database: Knex, fault: string, steps: { begin(): unknown; end(): unknown; reason: RegExp }) =>
          stageFault({ registry: await discover([database]), probe: 'database', fault: `${name}: ${fault}`, ...steps });

        it('fails while the server is stopped, reports a refused connection, and passes again when the server is back', async () => {
          const database = connect();
          const begin = async () => {
            await service.halt();
            await until(async () => (await problemOf(database))?.includes('connection refused'));
          };
          const reason = /(postgresql|mysql) 127\.0\.0\.1:\d+\/\w+: connection refused: connect ECONNREFUSED 127\.0\.0\.1:\d+$/;
          await stage(database, 'the server is stopped', { begin, end: () => service.start(), reason });
        });

        it('fails while one of several databases is stopped, and names that database', async () => {
          const database = connect();
          const registry = await discover([databases.embed(), database, databases.embed()]);
          const begin = async () => {
            await service.halt();
            await until(async () => (await problemOf(database))?.includes('connection refused'));
          };
          const reason =
            /^1 of 3 databases failed: (postgresql|mysql) 127\.0\.0\.1:\d+\/\w+: connection refused: connect ECONNREFUSED 127\.0\.0\.1:\d+$/;
          const fault = `${name}: the server of one of three databases is stopped`;
          await stageFault({ registry, probe: 'database', fault, begin, end: () => service.start(), reason });
        });

        it('passes with the first run after a restart', async () => {
          const database = connect();
          const begin = async () => {
            await service.halt();
            await service.start();
          };
          const fault = `${name}: the server has been restarted`;
          await stageHarmless({ registry: await discover([database]), probe: 'database', fault, begin });
        });

        it('fails at its timeout while the server is frozen, and passes again when the server continues', async () => {
          const database = connect();
          const reason = /^timed out after 800 ms: \S+ \S+: no response: /;
          const steps = { begin: () => service.freeze(), end: () => service.thaw(), reason };
          await stage(database, 'the server is frozen', steps);
          await until(() => isIdle(database));
        });

        it('fails while the password is wrong, and says that it was rejected', async () => {
          const database = connect({ pool: { min: 0, max: 2, idleTimeoutMillis: 10, reapIntervalMillis: 10 } });
          const admin = administer();
          const begin = async () => {
            await server.setPassword(admin, 'other');
            await until(() => poolOf(database).numFree() === 0);
            await until(async () => (await problemOf(database))?.includes('rejected'));
          };
          const reason =
            /rejected: (password authentication failed for user "app" \(28P01\)|Access denied for user .* \(ER_ACCESS_DENIED_ERROR\))/;
          await stage(database, 'the password is wrong', { begin, end: () => server.setPassword(admin, 'right'), reason });
        });

        it('fails while its query is slow, and cancels the query', async () => {
          const database = connect();
          const registry = new ProbeRegistry({ logger: false });
          registries.push(registry);
          let query = 'SELECT 1';
          const check = (context: ProbeContext) => checkKnex(database, context, { query });
          registry.register({ name: 'database', kinds: ['readiness'], check });
          const begin = () => (query = sleep);
          const end = () => (query = 'SELECT 1');
          const reason = /^timed out after 800 ms: \S+ \S+: no response: connected, but the query has not been answered for \d+ ms$/;
          await stageFault({ registry, probe: 'database', fault: `${name}: the query is slow`, begin, end, reason });
          const admin = administer();
          await until(async () => !(await server.listRunning(admin)).includes(sleep));
        });

        for (const { who, isBusy } of [
          { who: 'nobody', isBusy: false },
          { who: 'the application', isBusy: true },
        ]) {
          it(`leaves no queries running at the server while a table is locked, the pool has one connection, and ${who} waits for it`, async () => {
            const admin = administer();
            const database = connect({ pool: { min: 0, max: 1 } });
            await database.schema.dropTableIfExists('locked');
            await database.schema.createTable('locked', (table) => table.increments());
            const locking = administer({ pool: { min: 1, max: 1 } });
            const registry = new ProbeRegistry({ logger: false });
            registries.push(registry);
            const check = (context: ProbeContext) => checkKnex(database, context, { query: LOCKED });
            registry.register({ name: 'database', kinds: ['readiness'], check });
            const begin = async () => {
              await locking.raw(server.lock('locked'));
              for (let round = 0; round < 20; round += 1) {
                const controller = new AbortController();
                const sent = querySent(database, LOCKED);
                const running = problemOf(database, { query: LOCKED }, controller.signal);
                await sent;
                if (isBusy) await until(async () => (await server.listRunning(admin)).includes(LOCKED));
                const waiting = isBusy ? [1, 2, 3].map(() => database.raw('SELECT 1').then(() => true)) : [];
                setTimeout(() => controller.abort(), 100);
                expect(await running).to.include('no response');
                await Promise.all(waiting);
                // The one that was broken off last, and the connection that came after it.
                await until(async () => (await server.listRunning(admin)).length <= 3);
              }
            };
            const end = () => locking.raw(server.unlock);
            const fault = `${name}: a table is locked, the pool has one connection, and ${who} waits for it`;
            const reason = /^timed out after 800 ms: \S+ \S+: no response: connected, but the query has not been answered for \d+ ms$/;
            await stageFault({ registry, probe: 'database', fault, begin, end, reason });
            await until(async () => !(await server.listRunning(admin)).includes(LOCKED));
          });
        }

        it('fails at its timeout while the application uses the whole pool, and passes again when the application releases it', async () => {
          const database = connect();
          const held: Knex.Transaction[] = [];
          const begin = async () => {
            held.push(await database.transaction(), await database.transaction());
          };
          const end = () => Promise.all(held.map((transaction) => transaction.rollback()));
          await stage(database, 'the pool is exhausted', {
            begin,
            end,
            reason: /^timed out after 800 ms: \S+ \S+: pool exhausted: 2 of 2 connections in use$/,
          });
          await until(() => isIdle(database));
        });
      });

      describe('DatabaseProbe with a node that disappears without closing its connections', () => {
        let proxy: SilentProxy;
        beforeEach(async () => (proxy = await new SilentProxy(service.port).start()));
        // Before the Knex is closed, which waits for the connections that it has begun.
        afterEach(() => proxy.stop());

        const stage = async (fault: string, database: Knex, isSeen: (problem: string) => boolean, reason: RegExp) => {
          const begin = async () => {
            proxy.fail();
            await until(async () => isSeen((await problemOf(database, {}, AbortSignal.timeout(SHORT_MS))) ?? ''));
          };
          const registry = await discover([database]);
          await stageFault({ registry, probe: 'database', fault: `${name}: ${fault}`, begin, end: () => proxy.mend(), reason });
        };
        const connectBy = (max: number) => databases.connect(client, server.appUrl(proxy.port), { pool: { min: 0, max } });
        const connectTen = async () => {
          const database = connectBy(10);
          const busy = await Promise.all(Array.from({ length: 10 }, () => database.transaction()));
          await Promise.all(busy.map((transaction) => transaction.rollback()));
          return database;
        };

        it('passes with the first run after the recovery, although all idle connections are dead', async () => {
          const database = await connectTen();
          // The second run without an answer is that of the stage.
          const isSilent = (problem: string) => problem.includes('no response: connected');
          await stage('the node has disappeared without closing ten idle connections', database, isSilent, /: no response: /);
        });

        for (const { by, what } of [
          { by: 'RST', what: 'resets them when they are used' },
          { by: 'FIN', what: 'closes them with FIN when they are used' },
        ] as const) {
          it(`passes with the third run if the network has dropped all idle connections, and ${what}`, async () => {
            const database = await connectTen();
            const registry = await discover([database]);
            const begin = async () => {
              proxy.forget(by);
              expect(await problemOf(database)).to.include('connection lost');
            };
            const fault = `${name}: the network has dropped ten idle connections, and ${what}`;
            await stageFault({ registry, probe: 'database', fault, begin, end: () => {}, reason: /: connection lost: / });
          });

          it(`fails at most 2 of 200 checks if the network has dropped ten idle connections, and ${what}`, async () => {
            const database = await connectTen();
            proxy.forget(by);
            const problems: unknown[] = [];
            for (let round = 0; round < 200; round += 1) problems.push(await problemOf(database));
            expect(problems.filter((problem) => problem !== undefined)).to.have.length.within(1, 2);
            expect(poolOf(database).numFree()).to.equal(1);
          });
        }

        it('passes with the first run after the recovery, although some connection attempts never complete', async () => {
          const isSeen = (problem: string) => problem.includes('has not been established');
          const reason = /: no response: a new connection to the server has not been established \(0 of 10 connections in use\)$/;
          await stage('the node has disappeared while a connection to it is being established', connectBy(10), isSeen, reason);
        });

        it('opens no more connections than the pool allows, and leaves none of them in use', async () => {
          const database = connectBy(3);
          const pool = poolOf(database);
          proxy.fail();
          for (let round = 0; round < 5; round += 1) {
            expect(await problemOf(database, {}, AbortSignal.timeout(50))).to.include('has not been established');
          }
          await until(() => isIdle(database));
          expect(pool.numPendingCreates()).to.equal(3);
          proxy.hangUp();
          proxy.mend();
          await until(() => pool.numPendingCreates() === 0);
          await Promise.all([1, 2, 3].map(() => checkKnex(database, { signal: patiently() })));
          await until(() => isIdle(database));
          expect(pool.numFree()).to.be.within(1, 3);
        });
      });

      describe('checkKnex(knex, context, options)', () => {
        it('reports how much of an exhausted pool is in use, and leaves no pending acquire and no connection behind', async () => {
          const database = connect();
          const held = [await database.transaction(), await database.transaction()];
          for (let round = 0; round < 5; round += 1) {
            expect(await problemOf(database, {}, AbortSignal.timeout(20))).to.match(/: pool exhausted: 2 of 2 connections in use$/);
          }
          await until(() => poolOf(database).numPendingAcquires() === 0);
          expect(await server.listRunning(administer())).to.have.length(2);
          await Promise.all(held.map((transaction) => transaction.rollback()));
          await checkKnex(database, { signal: patiently() });
        });

        it('waits for a connection that becomes free in time', async () => {
          const database = connect({ pool: { min: 0, max: 1 } });
          const held = await database.transaction();
          const checking = problemOf(database);
          await held.rollback();
          expect(await checking).to.equal(undefined);
        });

        it('cancels a query that outlives the signal if the pool has a free connection', async () => {
          const database = connect();
          const admin = administer();
          expect(await problemOf(database, { query: sleep }, abortAfterQuery(database, sleep, SHORT_MS))).to.match(
            /: no response: connected, but the query has not been answered for \d+ ms$/,
          );
          await until(async () => !(await server.listRunning(admin)).includes(sleep));
          await until(() => isIdle(database));
          expect((await server.listRunning(admin)).length).to.be.at.most(2);
          await database.raw('SELECT 1');
        });

        it('cancels a query that outlives the signal on the only connection of the pool, before its own query', async () => {
          const database = connect({ pool: { min: 0, max: 1 } });
          const admin = administer();
          let opened = 0;
          let mostOpen = 0;
          const { pool } = database.client as { pool: EventEmitter & { numUsed(): number; numFree(): number } };
          pool.on('createSuccess', () => (mostOpen = Math.max(mostOpen, pool.numUsed() + pool.numFree())));
          pool.on('createRequest', () => (opened += 1));
          expect(await problemOf(database, { query: sleep }, abortAfterQuery(database, sleep, SHORT_MS))).to.include('no response');
          await until(() => isIdle(database));
          await until(async () => !(await server.listRunning(admin)).includes(sleep));
          await database.raw('SELECT 1');
          expect([opened, mostOpen]).to.deep.equal([2, 1]);
        });

        it('cancels only its own query, even if another query has the same number after a failover', async () => {
          const admin = administer({ pool: { min: 1, max: 1 } });
          await server.getLock(admin);
          const application = connect({ pool: { min: 0, max: 1 } });
          const number = await server.numberOf(application);
          const waiting = server.getLock(application);
          await until(async () => (await server.listRunning(admin)).some((query) => query?.includes('lock') || query?.includes('LOCK')));
          const afterCreate = (connection: object, done: () => void) => {
            Object.assign(connection, { processID: number, threadId: number });
            done();
          };
          const database = connect({ pool: { min: 0, max: 2, afterCreate } });
          expect(await problemOf(database, { query: sleep }, abortAfterQuery(database, sleep, SHORT_MS))).to.include('no response');
          await until(() => isIdle(database));
          expect(await problemOf(database)).to.equal(undefined);
          await admin.destroy();
          expect(await waiting).to.equal(true);
        });

        it('opens no connection beyond the pool while the server is frozen, and leaves none in use', async () => {
          const database = connect();
          await checkKnex(database, { signal: patiently() });
          const briefly = () => problemOf(database, {}, AbortSignal.timeout(SHORT_MS));
          service.freeze();
          try {
            // A process of many threads does not stop at once.
            await until(async () => (await briefly())?.includes(': no response: '));
            await until(() => isIdle(database));
            for (let round = 0; round < 3; round += 1) {
              expect(await briefly()).to.match(
                /: no response: a new connection to the server has not been established \(0 of 2 connections in use\)$/,
              );
            }
          } finally {
            service.thaw();
          }
          await until(async () => (await problemOf(database)) === undefined);
          const admin = administer();
          // The server learns only now of the connections that were closed.
          await until(async () => (await server.listRunning(admin)).filter((query) => query !== sleep).length <= 2);
        });

        it('reports the message of the server if it rejects the query', async () => {
          expect(await problemOf(connect(), { query: 'SELECT nothing' })).to.match(/: rejected: SELECT nothing - .*nothing.* \(\w+\)$/);
        });

        it('releases every connection, no matter when the signal is aborted', async () => {
          const database = connect();
          const abortAfter = async (turns: number) => {
            const controller = new AbortController();
            const checking = checkKnex(database, controller).catch(() => {});
            for (let turn = 0; turn < turns; turn += 1) await (turn % 8 === 7 ? new Promise(setImmediate) : Promise.resolve());
            controller.abort();
            await checking;
          };
          for (let turns = 0; turns < 120; turns += 3) await Promise.all([abortAfter(turns), abortAfter(turns + 1), abortAfter(turns + 2)]);
          await until(() => isIdle(database));
          await Promise.all([database.raw('SELECT 1'), database.raw('SELECT 1'), database.raw('SELECT 1')]);
        });
      });
    });
  }

  describe('on MariaDB after a restart', () => {
    const [, mariadb] = databaseServers;
    let service: Service;
    before(async () => (service = await mariadb!.start()));
    after(() => service.stop());
    const numberOf = async (connection: Knex) => (await mariadb!.numberOf(connection)) ?? 0;

    it('does not cancel queries of the application that have the number of its own query from before the restart', async () => {
      const administer = (max: number) => databases.connect('mysql2', mariadb!.adminUrl(service.port), { pool: { min: 0, max } });
      // The server counts from the beginning again: so that there are numbers to be had a second time.
      const many = administer(20);
      await Promise.all(Array.from({ length: 20 }, async () => (await many.transaction()).rollback()));
      const database = administer(1);
      const number = await numberOf(database);
      const checking = problemOf(database, { query: mariadb!.sleep }, abortAfterQuery(database, mariadb!.sleep, SHORT_MS));
      // It waits for the one connection, which leaves the cancelling to the next check.
      const waiting = database.raw('SELECT 1').then(() => true);
      expect(await checking).to.include('no response');
      await waiting;
      await service.halt();
      await service.start();

      const admin = administer(1);
      await mariadb!.getLock(admin);
      const application = administer(50);
      const held: Knex.Transaction[] = [];
      do held.push(await application.transaction());
      while ((await numberOf(held.at(-1)!)) < number);
      expect(await numberOf(held.at(-1)!)).to.equal(number);
      const query = mariadb!.getLock(held.at(-1)!);
      await until(() => problemOf(database).then((problem) => problem === undefined));
      await admin.destroy();
      const isGiven = await query;
      await Promise.all(held.map((transaction) => transaction.rollback()));
      expect(isGiven).to.equal(true);
    });
  });

  describe('DatabaseProbe', () => {
    describe('with DATABASE_OPTIONS', () => {
      const discoverWith = async (require: unknown, ...all: Knex[]) => {
        const container = new Container();
        container.bind(DATABASE_OPTIONS).toConstantValue({ require } as DatabaseProbeOptions);
        for (const database of all) container.bind(DATABASE).toConstantValue(database);
        return discoverProbes(container, { classes: [DatabaseProbe], logger: false });
      };
      const refused = async () => databases.connect('mysql2', `mysql://root@127.0.0.1:${String(await freePort())}/shop`);

      it('passes as soon as the required number of databases answers, in any state of the others', async () => {
        const busy = databases.embed();
        const held = await busy.transaction();
        for (const [require, all] of [
          ['any', [await refused(), busy, databases.embed()]],
          [2, [databases.embed(), await refused(), databases.embed(), busy]],
        ] as const) {
          const result = await databaseOf(await discoverWith(require, ...all));
          expect(result?.status).to.equal('pass');
        }
        await held.rollback();
      });

      it('fails if too few databases answer, and names those that failed', async () => {
        const result = await databaseOf(await discoverWith(2, await refused(), databases.embed(), await refused()));
        expect(result?.failure?.detail).to.match(
          /^2 of 3 databases failed, 2 must answer: mysql \S+: connection refused: .*; mysql \S+: connection refused/,
        );
      });

      it('is degraded if the required number is only reached with busy databases', async () => {
        const busy = databases.connect('better-sqlite3', ':memory:', { pool: { min: 1, max: 1 } });
        const over = new AbortController();
        const clients = Array.from({ length: 20 }, async () => {
          while (!over.signal.aborted) await busy.transaction(() => new Promise((resolve) => setTimeout(resolve, 100)));
        });
        const result = await databaseOf(await discoverWith(2, databases.embed(), busy, await refused()));
        over.abort();
        await Promise.all(clients);
        expect(result?.failure?.reason).to.match(/^pool busy: 1 of 1 in use/);
        expect(result?.status).to.equal('warn');
      });

      it('rejects a required number that is higher than the number of databases, or none', async () => {
        for (const require of [2, 0, 'most']) {
          const problem = await discoverWith(require, databases.embed()).catch(String);
          expect(problem).to.match(
            /`require` of DATABASE_OPTIONS to be "all", "any" or a whole number from 1 to 1 \(the number of databases/,
          );
        }
      });
    });

    it('names only the databases that fail', async () => {
      const ports = [await freePort(), await freePort()];
      const [refused, other] = ports.map((port) => databases.connect('mysql2', `mysql://root@127.0.0.1:${String(port)}/shop`));
      expect((await databaseOf(await discover([databases.embed()])))?.status).to.equal('pass');
      const result = await databaseOf(await discover([refused!, databases.embed(), other!]));
      expect(result?.status).to.equal('fail');
      const names = ports.map((port) => `mysql 127\\.0\\.0\\.1:${String(port)}/shop: connection refused: [^;]+`).join('; ');
      expect(String(result?.error)).to.match(new RegExp(`^Error: 2 of 3 databases failed: ${names}$`));
    });

    it('logs the reason', async () => {
      const logger = new MemoryLogger();
      await databaseOf(await discover([databases.connect('pg', 'postgres://me:secret@127.0.0.1:1/shop')], { logger }));
      const line = logger.lines.find((one) => one.startsWith('warn '));
      expect(line).to.include(
        'readiness probe database failed: postgresql 127.0.0.1:1/shop: connection refused: connect ECONNREFUSED 127.0.0.1:1',
      );
      expect(line).not.to.include('secret');
    });

    it('fails while a file of SQLite cannot be opened', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'koa-probes-sqlite-'));
      const away = `${folder}-away`;
      const pool = { min: 0, max: 1, idleTimeoutMillis: 10, reapIntervalMillis: 10 };
      const database = databases.connect('better-sqlite3', join(folder, 'shop.db'), { pool });
      const registry = await discover([database]);
      const begin = async () => {
        renameSync(folder, away);
        // What is open stays open.
        await until(() => poolOf(database).numFree() === 0);
      };
      try {
        const reason = /^sqlite3 \S+shop\.db: .*unable to open/i;
        const fault = 'SQLite: the folder of the file is missing';
        await stageFault({ registry, probe: 'database', fault, begin, end: () => renameSync(away, folder), reason });
      } finally {
        for (const path of [folder, away]) rmSync(path, { recursive: true, force: true });
      }
    });

    it('fails while the application uses the only connection of SQLite', async () => {
      const database = databases.embed();
      const registry = await discover([database]);
      const held: Knex.Transaction[] = [];
      const begin = async () => held.push(await database.transaction());
      const end = () => held[0]?.rollback();
      const reason = /^timed out after 800 ms: sqlite3 :memory:: pool exhausted: 1 of 1 connections in use$/;
      await stageFault({ registry, probe: 'database', fault: 'SQLite: the pool is exhausted', begin, end, reason });
    });

    it('names each of several databases that have no free connection when the deadline is exceeded', async () => {
      const both = [databases.embed(), databases.embed()];
      const held = await Promise.all(both.map((database) => database.transaction()));
      const result = await databaseOf(await discover(both));
      const each = 'sqlite3 :memory:: pool exhausted: 1 of 1 connections in use';
      expect(result?.failure?.detail).to.equal(`timed out after 800 ms: 2 of 2 databases failed: ${each}; ${each}`);
      await Promise.all(held.map((transaction) => transaction.rollback()));
    });

    it('finds databases that a parent container binds', async () => {
      const parent = new Container();
      parent.bind(DATABASE).toConstantValue(databases.embed());
      const registry = await discoverProbes(new Container({ parent }), { classes: [DatabaseProbe], logger: false });
      expect((await databaseOf(registry))?.status).to.equal('pass');
    });

    it('fails the start if nothing is bound to DATABASE, and says what to bind', async () => {
      const problem: unknown = await discover([]).catch((error: unknown) => error);
      expect(problem).to.satisfy(ConfigurationError.is);
      expect(String(problem)).to.match(
        /could not create DatabaseProbe\. .*nothing is bound to DATABASE\. Bind a target, `container\.bind\(DATABASE\)/,
      );
    });
  });

  describe('checkKnex(knex, context, options)', () => {
    it('rejects with the reason of a signal that is already aborted, and requests no connection', async () => {
      const database = databases.embed();
      const reason = new Error('enough');
      const problem: unknown = await checkKnex(database, { signal: AbortSignal.abort(reason) }).catch((error: unknown) => error);
      expect(problem).to.equal(reason);
      expect(isIdle(database)).to.equal(true);
    });

    it('does not harm an in-memory database, its only connection or its waiters, no matter when the signal is aborted', async () => {
      const database = databases.embed();
      await database.schema.createTable('kept', (table) => table.increments());
      for (let turns = 0; turns < 50; turns += 1) {
        const controller = new AbortController();
        const checking = checkKnex(database, controller).catch(() => {});
        const waiting = database.raw('SELECT 1').then(() => true);
        for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
        controller.abort();
        await checking;
        expect(await waiting).to.equal(true);
        await until(() => isIdle(database));
      }
      expect(await database.schema.hasTable('kept')).to.equal(true);
    });

    it('reports that a file of SQLite cannot be opened', async () => {
      const database = databases.connect('better-sqlite3', '/nowhere/shop.db');
      expect(await problemOf(database)).to.match(/^Error: sqlite3 \/nowhere\/shop\.db: .*unable to open/i);
    });

    it('reports that the Knex instance has been destroyed', async () => {
      const database = databases.embed();
      await database.destroy();
      expect(await problemOf(database)).to.match(/: closed: knex\.destroy\(\) was called/);
    });

    it('reports the latest failure of a pool that keeps trying', async () => {
      const pool = { min: 0, max: 2, propagateCreateError: false };
      const database = databases.connect('pg', 'postgres://me@127.0.0.1:1/shop', { pool });
      await until(async () =>
        / connection refused: connect ECONNREFUSED/.test(String(await problemOf(database, {}, AbortSignal.timeout(SHORT_MS)))),
      );
    });

    it('reports the state of the pool if the timeout of the pool is shorter', async () => {
      const pool = { min: 0, max: 1, acquireTimeoutMillis: 20 };
      const database = databases.embed({ pool });
      const held = await database.transaction();
      expect(await problemOf(database)).to.match(/: pool exhausted: 1 of 1 connections in use$/);
      await held.rollback();
    });

    it('logs nothing through Knex', async () => {
      const lines: string[] = [];
      const log = { warn: (line: string) => lines.push(line), error: (line: string) => lines.push(line) };
      const database = databases.connect('pg', 'postgres://me@127.0.0.1:1/shop', { log });
      for (let round = 0; round < 3; round += 1) expect(await problemOf(database)).to.include('connection refused');
      expect(lines).to.deep.equal([]);
    });

    for (const database of [undefined, {}, 'postgres://me:hunter2@db']) {
      it(`rejects ${JSON.stringify(database) ?? 'undefined'} as a Knex instance, and fails the start`, async () => {
        const message = /Expected a Knex instance, got (?!.*hunter2).*\. Bind the return value of `knex\(config\)`/;
        const problem: unknown = await checkKnex(database as never, { signal: patiently() }).catch((error: unknown) => error);
        expect(problem).to.satisfy(ConfigurationError.is);
        expect(String(problem)).to.match(message);
        expect(String(await discover([database as never]).catch((error: unknown) => error))).to.match(message);
      });
    }

    for (const query of ['', 1, null]) {
      it(`rejects \`query: ${JSON.stringify(query)}\``, async () => {
        const problem = checkKnex(databases.embed(), { signal: AbortSignal.timeout(1_000) }, { query: query as string });
        expect(String(await problem.catch((error: unknown) => error))).to.match(/`query` of checkKnex\(\) to be an SQL query/);
      });
    }

    for (const { connection, place } of [
      { connection: { connectionString: 'postgres://me:secret@db.test:1/shop' }, place: 'postgresql db.test:1/shop' },
      { connection: { host: '::1', port: 1, database: 'shop', user: 'me', password: 'secret' }, place: 'postgresql [::1]:1/shop' },
      { connection: { host: '/nowhere', database: 'shop' }, place: 'postgresql /nowhere/shop' },
    ]) {
      it(`describes a database with ${JSON.stringify(Object.keys(connection))} as ${place}`, async () => {
        const database = databases.add(knex({ client: 'pg', connection, pool: { min: 0 } }));
        expect(await problemOf(database, {}, AbortSignal.timeout(SHORT_MS))).to.satisfy((message: string) =>
          message.startsWith(`Error: ${place}: `),
        );
      });
    }
  });

  describe('behind a proxy that accepts connections and holds back all queries', () => {
    const [, mariadb] = databaseServers;
    let service: Service;
    let proxy: Server;
    let isHolding = false;
    let cancels = 0;
    before(async () => {
      service = await mariadb!.start();
      proxy = createServer((socket) => {
        const upstream = connectTo(service.port, '127.0.0.1').on('error', () => {});
        upstream.pipe(socket.on('error', () => {})).once('close', () => upstream.destroy());
        socket.on('data', (request) => {
          // The number of the packet: 0 of a command, and above in a login.
          if (isHolding && request[3] === 0) return;
          if (request.includes('information_schema.processlist')) cancels += 1;
          upstream.write(request);
        });
      }).listen(0, '127.0.0.1');
      await once(proxy, 'listening');
    });
    after(async () => {
      proxy.close();
      await service.stop();
    });

    it('remembers no more queries to cancel after twenty runs than after one', async () => {
      const { port } = proxy.address() as AddressInfo;
      const database = databases.connect('mysql2', mariadb!.adminUrl(port), { pool: { min: 0, max: 50 } });
      const registry = await discover([database]);
      const begin = async () => {
        isHolding = true;
        for (let round = 0; round < 20; round += 1)
          expect(await problemOf(database, {}, AbortSignal.timeout(100))).to.include('no response');
      };
      const end = () => (isHolding = false);
      const reason = /^timed out after 800 ms: \S+ \S+: no response: connected, but the query has not been answered for \d+ ms$/;
      await stageFault({
        registry,
        probe: 'database',
        fault: 'MariaDB: a proxy accepts connections and holds back all queries',
        begin,
        end,
        reason,
      });
      expect(cancels).to.be.within(1, 5);
    });
  });

  describe("on the driver's own pool", () => {
    let service: Service;
    const [postgres] = databaseServers;
    before(async () => (service = await postgres!.start()));
    after(() => service.stop());

    it('keeps at most one acquire waiting, because none can be withdrawn, and releases the connection that it gets', async () => {
      const { Pool } = createRequire(import.meta.url)('pg') as { Pool: new (settings: object) => Knex.PgPoolLike & EventEmitter };
      const own = new Pool({ connectionString: postgres!.adminUrl(service.port), max: 1 });
      // Its connections may be told of the server's end before they have closed.
      own.on('error', () => {});
      const database = databases.add(knex({ client: 'pg', connectionPool: own }));
      await checkKnex(database, { signal: patiently() });
      const held = await database.transaction();
      for (let round = 0; round < 3; round += 1) expect(await problemOf(database, {}, AbortSignal.timeout(20))).to.include('no connection');
      expect(own.waitingCount).to.equal(1);
      const checking = checkKnex(database, { signal: patiently() });
      expect(await problemOf(database, {}, AbortSignal.timeout(20))).to.include('no connection');
      await held.rollback();
      await checking;
      await until(() => own.waitingCount === 0 && own.idleCount === own.totalCount);
      expect(await problemOf(database, { query: postgres!.sleep }, abortAfterQuery(database, postgres!.sleep, SHORT_MS))).to.include(
        'no response',
      );
      await checkKnex(database, { signal: patiently() });
      await own.end();
    });
  });
});
