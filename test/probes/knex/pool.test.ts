import { once } from 'node:events';
import { chmodSync, chownSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'chai';
import { Container } from 'inversify';
import knex, { type Knex } from 'knex';
import { Degraded, discoverProbes, type ProbeContext, type ProbeRegistry } from 'koa-probes';
import { checkKnex, DATABASE, DatabaseProbe, type CheckKnexOptions, type DatabaseTarget } from 'koa-probes/knex';
import { Authority } from '../../support/certificates.js';
import { Databases, databaseServers, poolOf } from '../../support/databases.js';
import { stageFault } from '../../support/faults.js';
import { until } from '../../support/processes.js';
import { postgresUrl, startPostgres, type Service } from '../../support/services.js';

const databases = new Databases();
const registries: ProbeRegistry[] = [];
const closing: (() => unknown)[] = [];

const discover = async (...bound: (Knex | DatabaseTarget)[]) => {
  const container = new Container();
  for (const one of bound) container.bind(DATABASE).toConstantValue(one);
  const registry = await discoverProbes(container, { classes: [DatabaseProbe], logger: false });
  registries.push(registry);
  return registry;
};
const failureOf = (database: Knex, timeoutMs = 10_000, options?: CheckKnexOptions): Promise<unknown> =>
  checkKnex(database, { signal: AbortSignal.timeout(timeoutMs) }, options).then(
    () => undefined,
    (error: unknown) => error,
  );
const isIdle = (database: Knex) => poolOf(database).numUsed() === 0 && poolOf(database).numPendingAcquires() === 0;

describe('koa-probes/knex and the pool', () => {
  afterEach(async () => {
    for (const registry of registries.splice(0)) registry.close();
    await databases.close();
    for (const close of closing.splice(0).toReversed()) await close();
  });

  for (const { name, client, ...server } of databaseServers) {
    describe(`on ${name}`, () => {
      let service: Service;
      before(async () => {
        service = await server.start();
        await server.createUser(databases.connect(client, server.adminUrl(service.port)));
      });
      after(() => service.stop());
      const connect = (settings: Partial<Knex.Config> = {}) => databases.connect(client, server.appUrl(service.port), settings);

      /** Clients that ask for a tenth of a second each, again and again, until they are told to stop. */
      const keepBusy = (database: Knex, clients: number) => {
        const end = new AbortController();
        const query = client === 'pg' ? 'SELECT pg_sleep(0.1)' : 'SELECT SLEEP(0.1)';
        const work = Promise.all(
          Array.from({ length: clients }, async () => {
            while (!end.signal.aborted) await database.raw(query);
          }),
        );
        return async () => {
          end.abort();
          await work;
        };
      };

      it('is degraded while the pool is busy, and passes again when it is not', async () => {
        const database = connect({ pool: { min: 0, max: 4 } });
        let stop = async () => {};
        await stageFault({
          registry: await discover(database),
          probe: 'database',
          fault: `${name}: the pool is busy`,
          async begin() {
            stop = keepBusy(database, 40);
            await until(() => poolOf(database).numPendingAcquires() === 36);
          },
          end: () => stop(),
          reason: /pool busy: 4 of 4 in use, 36 waiting/,
        });
        await until(() => isIdle(database));
        expect(poolOf(database).numFree()).to.be.at.most(4);
      });

      it('is degraded even if the timeout of the probe is short', async () => {
        const database = connect({ pool: { min: 0, max: 4 } });
        const registry = await discover({ knex: database, name: 'orders' });
        registry.register({
          name: 'short',
          kinds: ['readiness'],
          timeoutMs: 300,
          check: (context: ProbeContext) => checkKnex(database, context),
        });
        const stop = keepBusy(database, 40);
        await until(() => poolOf(database).numPendingAcquires() === 36);
        const { status, results } = await registry.run('readiness');
        await stop();
        expect(status).to.equal('warn');
        expect(results.filter(({ status: one }) => one === 'warn').map(({ name: one }) => one)).to.deep.equal(['database', 'short']);
        expect(results.find(({ name: one }) => one === 'short')?.failure?.reason).to.match(/^pool busy: 4 of 4 in use, \d+ waiting$/);
      });

      it('rejects with Degraded and the server only in the cause, even if the signal is aborted earlier', async () => {
        const database = connect({ pool: { min: 0, max: 4 } });
        const stop = keepBusy(database, 40);
        await until(() => poolOf(database).numPendingAcquires() === 36);
        for (const timeoutMs of [10_000, 300]) {
          const failure = await failureOf(database, timeoutMs, { name: 'orders' });
          expect(failure).to.satisfy(Degraded.is);
          expect((failure as Degraded).message).to.match(/^orders: pool busy: 4 of 4 in use, 36 waiting$/);
          expect(String((failure as Degraded).cause)).to.match(/^Error: (postgresql|mysql) 127\.0\.0\.1:\d+\//);
        }
        await stop();
      });

      it('leaves the pool and the server unchanged after 200 checks of a busy pool and of an `afterCreate` that hangs', async () => {
        const admin = databases.connect(client, server.adminUrl(service.port), { pool: { min: 1, max: 1 } });
        let isHanging = false;
        const waiting: (() => void)[] = [];
        const afterCreate = (_: object, done: () => void) => (isHanging ? waiting.push(done) : done());
        const database = connect({ pool: { min: 0, max: 4, afterCreate, idleTimeoutMillis: 10, reapIntervalMillis: 10 } });
        const stop = keepBusy(database, 40);
        await until(() => poolOf(database).numPendingAcquires() === 36);
        for (let round = 0; round < 200; round += 1) await failureOf(database, 5);
        await stop();
        await until(() => isIdle(database) && poolOf(database).numFree() === 0);
        isHanging = true;
        for (let round = 0; round < 200; round += 1) expect(String(await failureOf(database, 5))).to.include('no response');
        expect(poolOf(database).numPendingCreates()).to.be.at.most(4);
        isHanging = false;
        for (const go of waiting.splice(0)) go();
        await until(() => isIdle(database) && poolOf(database).numPendingCreates() === 0 && poolOf(database).numFree() === 0);
        await until(async () => (await server.listRunning(admin)).length === 0);
        expect(await failureOf(database)).to.equal(undefined);
      });

      it('reports a lost connection if the server ends it during the query, and closes that connection', async () => {
        const admin = databases.connect(client, server.adminUrl(service.port));
        const database = connect({ pool: { min: 0, max: 1 } });
        const number = await server.numberOf(database);
        const checking = failureOf(database, 10_000, { query: server.sleep });
        await until(async () => (await server.listRunning(admin)).includes(server.sleep));
        await admin.raw(client === 'pg' ? 'SELECT pg_terminate_backend(?)' : 'KILL CONNECTION ?', [number!]);
        expect(String(await checking)).to.match(/: connection lost: SELECT \S+ - .+/);
        // Though the connection itself may not have noticed yet.
        expect(await failureOf(database)).to.equal(undefined);
      });

      it('names a `connection` function that does not settle', async () => {
        let isHanging = true;
        const { hostname, port, username, password, pathname } = new URL(server.appUrl(service.port));
        const settings = { host: hostname, port: Number(port), user: username, password, database: pathname.slice(1) };
        const waiting: (() => void)[] = [];
        const connection = async () => {
          if (isHanging) await new Promise<void>((resolve) => waiting.push(resolve));
          return settings;
        };
        const database = databases.add(knex({ client, connection: connection as never, pool: { min: 0, max: 10 }, log: { warn() {} } }));
        const release = () => {
          isHanging = false;
          for (const go of waiting.splice(0)) go();
        };
        const failure = await failureOf(database, 200);
        expect(String(failure)).to.match(
          /: no response: the `connection` function of Knex has not settled \(0 of 10 connections in use\)$/,
        );
        release();
        await stageFault({
          registry: await discover(database),
          probe: 'database',
          fault: `${name}: the \`connection\` function does not settle`,
          async begin() {
            isHanging = true;
            Object.assign(database.client as object, { connectionConfigExpirationChecker: () => isHanging });
            await pause(1);
          },
          end: release,
          reason: /: no response: the `connection` function of Knex has not settled/,
        });
      });

      it('names a `pool.afterCreate` that does not call its callback, and not one that does', async () => {
        let isHanging = false;
        const waiting: (() => void)[] = [];
        const afterCreate = (_: object, done: () => void) => {
          if (isHanging) waiting.push(done);
          else done();
        };
        const database = connect({ pool: { min: 0, max: 4, afterCreate, idleTimeoutMillis: 10, reapIntervalMillis: 10 } });
        await stageFault({
          registry: await discover(database),
          probe: 'database',
          fault: `${name}: \`pool.afterCreate\` does not call its callback`,
          async begin() {
            isHanging = true;
            await until(() => poolOf(database).numFree() === 0);
          },
          end() {
            isHanging = false;
            for (const go of waiting.splice(0)) go();
          },
          reason: /: no response: `pool\.afterCreate` has not called its callback on a new connection \(0 of 4 connections in use\)$/,
        });
        await until(() => poolOf(database).numFree() === 0);
        service.freeze();
        try {
          expect(String(await failureOf(database, 300))).to.match(/: no response: a new connection to the server has not been established/);
        } finally {
          service.thaw();
        }
        await until(async () => (await failureOf(database)) === undefined);
      });

      it('names a `pool.validate` that does not settle', async () => {
        let isHanging = false;
        const waiting: (() => void)[] = [];
        const validate = () => (isHanging ? new Promise<boolean>((resolve) => waiting.push(() => resolve(true))) : true);
        const database = connect({ pool: { min: 0, max: 4, validate } });
        await stageFault({
          registry: await discover(database),
          probe: 'database',
          fault: `${name}: \`pool.validate\` does not settle`,
          begin: () => (isHanging = true),
          end() {
            isHanging = false;
            for (const go of waiting.splice(0)) go();
          },
          reason: /: no response: `pool\.validate` has not settled for an idle connection/,
        });
      });

      it('fails while the password is wrong, once a connection is older than `pool.maxConnectionLifetimeMillis`', async () => {
        const admin = databases.connect(client, server.adminUrl(service.port));
        const database = connect({ pool: { min: 0, max: 2, maxConnectionLifetimeMillis: 200 } });
        await stageFault({
          registry: await discover(database),
          probe: 'database',
          fault: `${name}: the password has been changed, and \`pool.maxConnectionLifetimeMillis\` is set`,
          begin: () => server.setPassword(admin, 'other'),
          end: () => server.setPassword(admin, 'right'),
          reason: /: rejected: (password authentication failed|Access denied)/,
        });
      });

      describe('with `freshConnectionEveryMs`', () => {
        it('fails while the password is wrong, although the connections of the pool still work', async () => {
          const admin = databases.connect(client, server.adminUrl(service.port));
          const database = connect();
          await stageFault({
            registry: await discover({ knex: database, freshConnectionEveryMs: 1 }),
            probe: 'database',
            fault: `${name}: the password has been changed, and the pool has open connections`,
            async begin() {
              await server.setPassword(admin, 'other');
              expect(await failureOf(database)).to.equal(undefined);
            },
            end: () => server.setPassword(admin, 'right'),
            reason:
              /: a new connection failed, but the connections of the pool still work: rejected: (password authentication failed|Access denied)/,
          });
        });

        it('connects once per interval, again after each failure, and leaves nothing behind after 200 checks', async () => {
          const admin = databases.connect(client, server.adminUrl(service.port), { pool: { min: 1, max: 1 } });
          const database = connect();
          const connections = async () => (await server.listRunning(admin)).length;
          expect(await failureOf(database, 10_000, { freshConnectionEveryMs: 3_600_000 })).to.equal(undefined);
          await until(async () => (await connections()) === 1);
          await server.setPassword(admin, 'other');
          // It is not due.
          expect(await failureOf(database, 10_000, { freshConnectionEveryMs: 3_600_000 })).to.equal(undefined);
          for (let round = 0; round < 200; round += 1) {
            expect(String(await failureOf(database, 10_000, { freshConnectionEveryMs: 1 }))).to.include('a new connection failed');
          }
          await server.setPassword(admin, 'right');
          for (let round = 0; round < 200; round += 1)
            expect(await failureOf(database, 10_000, { freshConnectionEveryMs: 1 })).to.equal(undefined);
          await until(async () => (await connections()) === 1);
          expect(isIdle(database)).to.equal(true);
        });

        it('ends in time even if the server completes no new connection, and closes its own connection', async () => {
          const silent = createServer((socket) => socket.on('error', () => {}).resume()).listen(0, '127.0.0.1');
          await once(silent, 'listening');
          closing.push(() => silent.close());
          const database = connect();
          await failureOf(database);
          const { connectionSettings } = database.client as { connectionSettings: object };
          Object.assign(connectionSettings, { port: (silent.address() as AddressInfo).port });
          for (let round = 0; round < 5; round += 1) {
            expect(String(await failureOf(database, 100, { freshConnectionEveryMs: 1 }))).to.match(
              /: no response: a new connection has not been established for \d+ ms$/,
            );
          }
          await until(() => new Promise((resolve) => silent.getConnections((_, count) => resolve(count === 0))));
        });
      });
    });
  }

  it('is degraded if all failed databases are only busy, and fails if one of them is down', async () => {
    const [postgres] = databaseServers;
    const service = await postgres!.start();
    closing.push(() => service.stop());
    const busy = [1, 2].map(() => databases.connect('pg', postgresUrl(service.port), { pool: { min: 0, max: 1 } }));
    const end = new AbortController();
    const work = Promise.all(
      busy.flatMap((database) =>
        Array.from({ length: 20 }, async () => {
          while (!end.signal.aborted) await database.raw('SELECT pg_sleep(0.05)');
        }),
      ),
    );
    const named = busy.map((database, place) => ({ knex: database, name: `db${String(place)}` }));
    const run = async (...bound: (Knex | DatabaseTarget)[]) =>
      (await (await discover(...bound)).run('readiness', { only: 'database' })).results[0]?.failure?.detail;
    expect(await run(...named)).to.match(
      /^db0: pool busy: 1 of 1 in use, 19 waiting; db1: pool busy: 1 of 1 in use, 19 waiting: postgresql \S+; postgresql \S+$/,
    );
    const dead = databases.connect('pg', 'postgres://me@127.0.0.1:1/shop');
    expect(await run(...named, dead)).to.match(/^1 of 3 databases failed: postgresql 127\.0\.0\.1:1\/shop: connection refused/);
    end.abort();
    await work;
  });

  it('fails while the certificate has expired, although the connections of the pool still work', async () => {
    const authority = await new Authority().start();
    closing.push(() => authority.stop());
    const service = await startPostgres();
    closing.push(() => service.stop());
    const admin = databases.connect('pg', postgresUrl(service.port), { pool: { min: 0, max: 1 } });
    const { rows } = await admin.raw<{ rows: { folder: string }[] }>("SELECT current_setting('data_directory') AS folder");
    const folder = rows[0]!.folder;
    const serve = async (days: number) => {
      const { cert, key } = await authority.issue({ days });
      for (const [name, text] of Object.entries({ 'server.crt': cert, 'server.key': key })) {
        const path = join(folder, name);
        writeFileSync(path, text);
        chmodSync(path, 0o600);
        chownSync(path, statSync(folder).uid, statSync(folder).gid);
      }
      await admin.raw('ALTER SYSTEM SET ssl = on');
      await admin.raw('SELECT pg_reload_conf()');
      await pause(100);
    };
    await serve(1);
    const connection = { host: '127.0.0.1', port: service.port, user: 'postgres', database: 'postgres', ssl: { ca: authority.ca } };
    const database = databases.add(knex({ client: 'pg', connection, pool: { min: 0, max: 2 }, log: { warn() {} } }));
    await stageFault({
      registry: await discover({ knex: database, freshConnectionEveryMs: 1 }),
      probe: 'database',
      fault: 'PostgreSQL: the certificate has expired, and the pool has open connections',
      begin: () => serve(-1),
      end: () => serve(1),
      reason: /: a new connection failed, but the connections of the pool still work: certificate has expired$/,
    });
  });
});
