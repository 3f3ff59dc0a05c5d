import { renameSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { Container } from 'inversify';
import type { Knex } from 'knex';
import { ConfigurationError, discoverProbes, type ProbeRegistry } from 'koa-probes';
import { checkMigrations, DATABASE, MigrationsProbe, type CheckMigrationsOptions } from 'koa-probes/migrations';
import { projectPath } from '../../support/consumer.js';
import { abortAfterQuery, Databases, databaseServers, poolOf } from '../../support/databases.js';
import { stageFault, stageHarmless } from '../../support/faults.js';
import { MigrationFolder } from '../../support/migrations.js';
import { canMountSilent, mountSilent } from '../../support/mounts.js';
import { run, until } from '../../support/processes.js';
import type { Service } from '../../support/services.js';

const databases = new Databases();
const folders: MigrationFolder[] = [];
const registries: ProbeRegistry[] = [];

const folderOf = (...names: string[]) => {
  const folder = new MigrationFolder(...names);
  folders.push(folder);
  return folder;
};
const discover = async (bound: Knex[]) => {
  const container = new Container();
  for (const database of bound) container.bind(DATABASE).toConstantValue(database);
  const registry = await discoverProbes(container, { classes: [MigrationsProbe], logger: false });
  registries.push(registry);
  return registry;
};
/** The message of a check that fails, or nothing where it passes. */
const problemOf = (database: Knex, options?: CheckMigrationsOptions, signal = AbortSignal.timeout(10_000)) =>
  checkMigrations(database, { signal }, options).then(
    () => undefined,
    (error: unknown) => String(error),
  );
const isIdle = (database: Knex) => poolOf(database).numUsed() === 0 && poolOf(database).numPendingAcquires() === 0;

interface Stage {
  readonly name: string;
  /** A new connection to the one database, as a user that may do everything in it. */
  readonly connect: (settings?: Partial<Knex.Config>) => Knex;
}

/** What holds for every database. */
function describeContract({ name, connect }: Stage): void {
  let folder: MigrationFolder;
  let database: Knex;
  beforeEach(() => {
    folder = folderOf('1_users.cjs', '2_orders.cjs');
    database = connect({ migrations: { directory: folder.path } });
  });
  afterEach(async () => {
    for (const table of ['knex_migrations', 'knex_migrations_lock', 'versions', 'versions_lock'])
      await database.schema.dropTableIfExists(table);
  });

  it('fails while the table does not exist, does not create it, and passes without a restart once the migrations are applied', async () => {
    const registry = await discover([database]);
    const { status, results } = await registry.run('readiness', { only: 'migrations' });
    expect(status).to.equal('fail');
    expect(String(results[0]?.error)).to.match(
      /: no migration has been applied: the table knex_migrations does not exist, and 2 migrations are pending\. Run knex migrate:latest\.$/,
    );
    expect(await database.schema.hasTable('knex_migrations')).to.equal(false);
    expect(await database.schema.hasTable('knex_migrations_lock')).to.equal(false);
    await database.migrate.latest();
    expect((await registry.run('readiness', { only: 'migrations' })).status).to.equal('pass');
  });

  it('fails while a migration is pending, names it, and passes again once it is applied', async () => {
    await database.migrate.latest();
    await stageFault({
      registry: await discover([database]),
      probe: 'migrations',
      fault: `${name}: a migration is pending`,
      begin: () => folder.add('3_items.cjs'),
      end: () => database.migrate.latest(),
      reason: /: 1 of 3 migrations are pending: 3_items\.cjs\. Run knex migrate:latest\.$/,
    });
  });

  const stage = async (fault: string, steps: { begin(): unknown; end(): unknown; reason: RegExp }) => {
    await database.migrate.latest();
    await stageFault({ registry: await discover([database]), probe: 'migrations', fault: `${name}: ${fault}`, ...steps });
  };

  it('fails while the table does not exist, and passes again once it does', () =>
    stage('the table of migrations does not exist, and the check does not create it', {
      begin: () => database.schema.dropTable('knex_migrations').dropTable('knex_migrations_lock'),
      async end() {
        expect(await database.schema.hasTable('knex_migrations')).to.equal(false);
        await database.migrate.latest();
      },
      reason:
        /: no migration has been applied: the table knex_migrations does not exist, and 2 migrations are pending\. Run knex migrate:latest\.$/,
    }));

  it('fails while the folder is missing', () =>
    stage('the folder of the migrations is missing', {
      begin: () => renameSync(folder.path, `${folder.path}-away`),
      end: () => renameSync(`${folder.path}-away`, folder.path),
      reason:
        /: its migrations cannot be listed: ENOENT: no such file or directory, scandir '.*'\. Set `migrations` in the configuration of Knex/,
    }));

  it('fails while the folder is empty', () =>
    stage('the folder of the migrations is empty', {
      begin: () => ['1_users.cjs', '2_orders.cjs'].forEach((file) => folder.remove(file)),
      end: () => ['1_users.cjs', '2_orders.cjs'].forEach((file) => folder.add(file)),
      reason: /: no migrations were found in \S+\. Set `migrations` in the configuration of Knex/,
    }));

  it('finds a pending migration even if as many were applied as there are files', async () => {
    await stage('a migration is pending, although as many were applied as there are files', {
      begin() {
        folder.remove('1_users.cjs');
        folder.add('3_items.cjs');
      },
      end() {
        folder.remove('3_items.cjs');
        folder.add('1_users.cjs');
      },
      reason: /: 1 of 2 migrations are pending: 3_items\.cjs\./,
    });
  });

  it('reports a lock that was left behind, with its cure, while a migration is pending', async () => {
    const [lock, unlock] = ['1', '0'].map((value) => () => database('knex_migrations_lock').update({ is_locked: Number(value) }));
    await stage('a migration is pending, and a migration lock was left behind', {
      async begin() {
        folder.add('3_items.cjs');
        await lock!();
        expect(String(await database.migrate.latest().catch(String))).to.include('already locked');
      },
      async end() {
        await unlock!();
        await database.migrate.latest();
      },
      reason:
        /: 1 of 3 migrations are pending: 3_items\.cjs\. The migration lock is held: a migration is running, or one ended without releasing the lock\. If none is running, run knex migrate:unlock, then knex migrate:latest\.$/,
    });
  });

  it('passes while the lock is held and no migration is pending', async () => {
    await database.migrate.latest();
    const registry = await discover([database]);
    const begin = () => database('knex_migrations_lock').update({ is_locked: 1 });
    await stageHarmless({
      registry,
      probe: 'migrations',
      fault: `${name}: a migration lock was left behind, and no migration is pending`,
      begin,
    });
  });

  for (const { before: applied, after: shipped } of [
    { before: '1_users.ts', after: '1_users.js' },
    { before: '1_users.ts', after: '1_users.cjs' },
    { before: '1_users.js', after: '1_users.mjs' },
    { before: '1_users.js', after: '1_users.ts' },
  ]) {
    it(`reports that ${applied} is shipped as ${shipped}, with a cure that works`, async () => {
      const loadExtensions = ['.cjs', '.js', '.mjs', '.ts'];
      const settings = { migrations: { directory: folder.path, loadExtensions } };
      const application = connect(settings);
      await application.migrate.latest();
      const rename = (from: string, to: string) => application('knex_migrations').where({ name: from }).update({ name: to });
      await rename('1_users.cjs', applied);
      folder.remove('1_users.cjs');
      folder.add(applied);
      const begin = async () => {
        folder.remove(applied);
        folder.add(shipped);
        expect(String(await application.migrate.latest().catch(String))).to.include('The migration directory is corrupt');
      };
      const end = async () => {
        const [, cure] = /for example (UPDATE .*?), or set/.exec(String(await problemOf(application))) ?? [];
        await application.raw(String(cure));
        await application.migrate.latest();
      };
      const reason = new RegExp(
        `: 1 migration was applied with another file extension: ${applied} is shipped as ${shipped}\\. knex migrate:latest rejects such a difference\\.`,
      );
      if (shipped === '1_users.js') {
        const fault = `${name}: a migration was applied as .ts, and is shipped as .js`;
        await stageFault({ registry: await discover([application]), probe: 'migrations', fault, begin, end, reason });
      } else {
        await begin();
        expect(await problemOf(application)).to.match(reason);
        await end();
        expect(await problemOf(application)).to.equal(undefined);
      }
      await rename(shipped, '1_users.cjs');
    });
  }

  it('reports both a pending migration and one with another extension', async () => {
    await database.migrate.latest();
    await database('knex_migrations').where({ name: '1_users.cjs' }).update({ name: '1_users.ts' });
    folder.add('3_items.cjs');
    expect(await problemOf(database)).to.match(
      /: 1 of 3 migrations are pending: 3_items\.cjs\. Run knex migrate:latest\. 1 migration was applied with another file extension/,
    );
  });

  it('leaves the pool unchanged after 200 checks', async () => {
    await database.migrate.latest();
    folder.add('3_items.cjs');
    await database('knex_migrations_lock').update({ is_locked: 1 });
    for (let round = 0; round < 200; round += 1) expect(await problemOf(database)).to.include('migrate:unlock');
    await until(() => isIdle(database));
    expect(poolOf(database).numFree()).to.equal(1);
  });

  it('passes on a database that is ahead of this release', async () => {
    await database.migrate.latest();
    const registry = await discover([database]);
    const fault = `${name}: the database is ahead of this release`;
    await stageHarmless({ registry, probe: 'migrations', fault, begin: () => folder.remove('2_orders.cjs') });
  });

  it('uses the table of the migration settings, even if hooks of Knex change names', async () => {
    const settings = { migrations: { directory: folder.path, tableName: 'versions' } };
    await connect(settings).migrate.latest();
    const wrapIdentifier = (value: string, wrap: (value: string) => string) => wrap(value === '*' ? value : `${value}_renamed`);
    const hooked = connect({ ...settings, wrapIdentifier, postProcessResponse: () => 'nothing of use' });
    expect(await problemOf(hooked)).to.equal(undefined);
    expect(await problemOf(database)).to.include('the table knex_migrations does not exist');
  });

  it('releases its connection', async () => {
    await database.migrate.latest();
    for (let round = 0; round < 5; round += 1) expect(await problemOf(database)).to.equal(undefined);
    await until(() => isIdle(database));
  });
}

describe('koa-probes/migrations', () => {
  afterEach(async () => {
    for (const registry of registries.splice(0)) registry.close();
    await databases.close();
    for (const folder of folders.splice(0)) folder.delete();
  });

  for (const { name, client, ...server } of databaseServers) {
    describe(`on ${name}`, () => {
      let service: Service;
      const connect = (settings?: Partial<Knex.Config>) => databases.connect(client, server.appUrl(service.port), settings);
      const administer = (settings?: Partial<Knex.Config>) => databases.connect(client, server.adminUrl(service.port), settings);

      before(async () => {
        service = await server.start();
        await server.createUser(administer());
        await databases.close();
      });
      after(() => service.stop());

      describeContract({ name, connect: administer });

      it('names the pending migrations for a role that may not read the lock', async () => {
        const migrations = { directory: folderOf('1_users.cjs').path };
        const admin = administer({ migrations });
        await admin.migrate.latest();
        const [create] = server.reader;
        await admin.raw(create.replace('reader', 'narrow'));
        const table = client === 'pg' ? 'knex_migrations' : 'app.knex_migrations';
        await admin.raw(`GRANT SELECT ON ${table} TO narrow`);
        const url = server.readerUrl(service.port).replace('reader', 'narrow');
        const narrow = databases.connect(client, url, { migrations: { directory: folderOf('1_users.cjs', '2_orders.cjs').path } });
        expect(await problemOf(narrow)).to.match(/: 1 of 2 migrations are pending: 2_orders\.cjs\. Run knex migrate:latest\.$/);
        await admin.schema.dropTable('knex_migrations').dropTable('knex_migrations_lock');
      });

      it('uses the schema of the migration settings', async () => {
        const admin = administer();
        await admin.raw('CREATE SCHEMA other');
        const migrations = { directory: folderOf('1_users.cjs').path, schemaName: 'other' };
        const database = administer({ migrations });
        expect(await problemOf(database)).to.include('the table other.knex_migrations does not exist');
        await database.migrate.latest();
        expect(await problemOf(database)).to.equal(undefined);
        await admin.raw(`DROP SCHEMA other${client === 'pg' ? ' CASCADE' : ''}`);
      });

      it('needs only read access, and reports if it has none', async () => {
        const migrations = { directory: folderOf('1_users.cjs').path };
        const admin = administer({ migrations });
        await admin.migrate.latest();
        const [create, ...grants] = server.reader;
        await admin.raw(create);
        const reader = databases.connect(client, server.readerUrl(service.port), { migrations });
        expect(await problemOf(reader)).to.match(/: rejected: .*(permission|SELECT command|Access) denied/);
        for (const grant of grants) await admin.raw(grant);
        // Its connections are short, as MariaDB asks for the rights of a whole database when one begins.
        const pool = { min: 0, max: 1, idleTimeoutMillis: 10, reapIntervalMillis: 10 };
        const registry = await discover([databases.connect(client, server.readerUrl(service.port), { migrations, pool })]);
        const harmless = `${name}: the role has only read access`;
        await stageHarmless({ registry, probe: 'migrations', fault: harmless, begin: () => problemOf(reader) });
        await stageFault({
          registry,
          probe: 'migrations',
          fault: `${name}: the role has no read access`,
          async begin() {
            for (const grant of grants) await admin.raw(grant.replace('GRANT', 'REVOKE').replace(' TO ', ' FROM '));
            await until(async () => (await registry.run('readiness', { only: 'migrations' })).status === 'fail');
          },
          async end() {
            for (const grant of grants) await admin.raw(grant);
          },
          reason: /: rejected: .*(permission|SELECT command|Access) denied/,
        });
        expect(await problemOf(reader)).to.equal(undefined);
        await admin.schema.dropTable('knex_migrations').dropTable('knex_migrations_lock');
        expect(await problemOf(reader)).to.match(/does not exist|rejected: .*denied/);
        expect(await admin.schema.hasTable('knex_migrations')).to.equal(false);
      });

      it('cancels its queries while the table is locked, although the pool has one connection', async () => {
        const migrations = { directory: folderOf('1_users.cjs').path };
        const database = connect({ migrations, pool: { min: 0, max: 1 } });
        await database.migrate.latest();
        const locking = administer({ pool: { min: 1, max: 1 } });
        const observer = administer();
        const registry = await discover([database]);
        const begin = async () => {
          await locking.raw(server.lock('knex_migrations'));
          for (let round = 0; round < 20; round += 1) {
            expect(await problemOf(database, {}, abortAfterQuery(database, 'knex_migrations', 100))).to.include('no response');
            // The one that was broken off last, and the connection that came after it.
            expect((await server.listRunning(observer)).length).to.be.at.most(3);
          }
          await until(async () => (await server.listRunning(observer)).every((query) => query === null));
          await until(() => isIdle(database));
        };
        const end = () => locking.raw(server.unlock);
        const fault = `${name}: the table of migrations is locked, and the pool has one connection`;
        const reason = /^timed out after 800 ms: \S+ \S+: no response: connected, but the query has not been answered for \d+ ms$/;
        await stageFault({ registry, probe: 'migrations', fault, begin, end, reason });
        await database.schema.dropTable('knex_migrations').dropTable('knex_migrations_lock');
      });

      it('fails in time while the server is frozen or the application uses the whole pool', async () => {
        const migrations = { directory: folderOf('1_users.cjs').path };
        const database = connect({ migrations });
        await database.migrate.latest();
        const registry = await discover([database]);
        const stage = (fault: string, steps: { begin(): unknown; end(): unknown; reason: RegExp }) =>
          stageFault({ registry, probe: 'migrations', fault: `${name}: ${fault}`, ...steps });
        const held: Knex.Transaction[] = [];
        await stage('the pool is exhausted', {
          begin: async () => held.push(await database.transaction(), await database.transaction()),
          end: () => Promise.all(held.map((transaction) => transaction.rollback())),
          reason: /^timed out after 800 ms: \S+ \S+: pool exhausted: 2 of 2 connections in use$/,
        });
        const reason = /^timed out after 800 ms: \S+ \S+: no response: /;
        await stage('the server is frozen', { begin: () => service.freeze(), end: () => service.thaw(), reason });
        await until(() => isIdle(database));
        await database.schema.dropTable('knex_migrations').dropTable('knex_migrations_lock');
      });

      it('reports a refused connection while the server is stopped', async () => {
        const migrations = { directory: folderOf('1_users.cjs').path };
        const database = administer({ migrations });
        await database.migrate.latest();
        const begin = async () => {
          await service.halt();
          await until(async () => (await problemOf(database))?.includes('connection refused'));
        };
        const reason = /127\.0\.0\.1:\d+\/\w+: connection refused: connect ECONNREFUSED/;
        const fault = `${name}: the server is stopped`;
        await stageFault({ registry: await discover([database]), probe: 'migrations', fault, begin, end: () => service.start(), reason });
      });
    });
  }

  describe('on SQLite', () => {
    let file: MigrationFolder;
    before(() => (file = new MigrationFolder()));
    after(() => file.delete());
    const connect = (settings?: Partial<Knex.Config>) => databases.connect('better-sqlite3', `${file.path}/app.db`, settings);

    describeContract({ name: 'SQLite', connect });
  });

  describe('MigrationsProbe', () => {
    it('checks every database that is bound, and names those that fail', async () => {
      const migrations = { directory: folderOf('1_users.cjs').path };
      const applied = databases.embed({ migrations });
      await applied.migrate.latest();
      const { results } = await (await discover([applied, databases.embed({ migrations })])).run('readiness', { only: 'migrations' });
      expect(String(results[0]?.error)).to.match(/^Error: 1 of 2 databases failed: sqlite3 :memory:: no migration has been applied/);
    });

    if (canMountSilent) {
      it('fails in time while the file system of the migrations does not respond, with one call to it in flight, and passes again', async () => {
        const folder = folderOf('1_users.cjs');
        const database = databases.embed({ migrations: { directory: folder.path } });
        await database.migrate.latest();
        let silent: { remove(): Promise<void> } | undefined;
        try {
          await stageFault({
            registry: await discover([database]),
            probe: 'migrations',
            fault: 'the file system of the migrations does not respond',
            async begin() {
              silent = await mountSilent(folder.path);
              // More rounds than Node has threads for files: were each to take one, none would be left to read this file.
              for (let round = 0; round < 6; round += 1) {
                expect(await problemOf(database, {}, AbortSignal.timeout(50))).to.match(/ has not answered for \d+ ms$/);
              }
              let isRead = false;
              void readFile(fileURLToPath(import.meta.url)).then(() => (isRead = true));
              await until(() => isRead, 10_000);
            },
            end: () => silent?.remove(),
            reason: /^timed out after 800 ms: sqlite3 :memory:: its migrations cannot be listed: \S+ has not answered for \d+ ms$/,
          });
        } finally {
          await silent?.remove().catch(() => {});
        }
      });
    }

    it('fails the start if nothing is bound to DATABASE, and says what to bind', async () => {
      const problem: unknown = await discover([]).catch((error: unknown) => error);
      expect(problem).to.satisfy(ConfigurationError.is);
      expect(String(problem)).to.match(
        /could not create MigrationsProbe\. .*nothing is bound to DATABASE\. Bind a target, `container\.bind\(DATABASE\)/,
      );
    });

    it('is the only probe that is found if only its subpath is imported', async () => {
      const script = `
        import { Container } from 'inversify';
        import knex from 'knex';
        import { discoverProbes } from 'koa-probes';
        import { DATABASE } from 'koa-probes/migrations';
        const container = new Container();
        container.bind(DATABASE).toConstantValue(knex({ client: 'pg' }));
        const probes = await discoverProbes(container);
        console.log(probes.has('readiness', 'migrations'), probes.has('readiness', 'database'));
      `;
      const output = await run(process.execPath, ['--input-type=module', '--eval', script], { cwd: projectPath() });
      expect(output).to.match(/^true false$/m);
    });
  });

  describe('checkMigrations(knex, context, options)', () => {
    it('reports which folder is missing, and how to set it', async () => {
      const problem = await problemOf(databases.embed());
      expect(problem).to.match(
        /its migrations cannot be listed: ENOENT: no such file or directory, scandir '.*migrations'\. Set `migrations` in the configuration of Knex/,
      );
    });

    it('reports which folder is empty', async () => {
      const { path } = folderOf();
      const problem = await problemOf(databases.embed({ migrations: { directory: path } }));
      expect(problem).to.include(`no migrations were found in ${path}. Set \`migrations\` in the configuration of Knex`);
    });

    it('prefers its options to the settings of Knex, as `knex.migrate` does', async () => {
      const directory = folderOf('1_users.cjs').path;
      const migrations = { directory: '/nowhere', tableName: 'versions' };
      const database = databases.embed({ migrations });
      await database.migrate.latest({ directory });
      expect(await problemOf(database, { directory })).to.equal(undefined);
      expect(await problemOf(database, { directory, tableName: 'others' })).to.include('the table others does not exist');
      expect(await problemOf(database)).to.include("scandir '/nowhere'");
    });

    const sourceOf = (getMigrations: () => Promise<string[]>): Knex.MigrationSource<unknown> => ({
      getMigrations,
      getMigrationName: (migration) => String(migration),
      getMigration: () => Promise.resolve({ up: async () => {}, down: async () => {} }),
    });

    it('uses a migration source of the application', async () => {
      const names = ['first'];
      const database = databases.embed({ migrations: { migrationSource: sourceOf(() => Promise.resolve(names)) } });
      await database.migrate.latest();
      expect(await problemOf(database)).to.equal(undefined);
      names.push('second');
      expect(await problemOf(database)).to.include('1 of 2 migrations are pending: second.');
      expect(await problemOf(database, { directory: '/nowhere' })).to.include("scandir '/nowhere'");
      names.length = 0;
      expect(await problemOf(database)).to.include('no migrations were found in its migration source');
    });

    it('ends when the signal is aborted, even if the source never answers or throws', async () => {
      const hanging = databases.embed({ migrations: { migrationSource: sourceOf(() => new Promise(() => {})) } });
      expect(await problemOf(hanging, {}, AbortSignal.timeout(20))).to.match(
        /its migrations cannot be listed: its migration source has not answered for \d+ ms$/,
      );
      const throwing = sourceOf(() => {
        throw new Error('no bucket');
      });
      expect(await problemOf(databases.embed(), { migrationSource: throwing })).to.include('its migrations cannot be listed: no bucket.');
    });

    it('reports what is wrong with a source that returns no list or no name', async () => {
      const odd = { ...sourceOf(() => Promise.resolve(null as never)) };
      expect(await problemOf(databases.embed(), { migrationSource: odd })).to.match(
        /its migrations cannot be listed: Cannot read properties of null/,
      );
      const nameless = { ...sourceOf(() => Promise.resolve(['first'])), getMigrationName: () => JSON.parse('') as string };
      expect(await problemOf(databases.embed(), { migrationSource: nameless })).to.match(
        /its migrations cannot be listed: Unexpected end of JSON/,
      );
    });

    it('rejects anything but a Knex instance, and fails the start', async () => {
      const message = /Expected a Knex instance, got an object\. Bind the return value of `knex\(config\)`/;
      expect(await problemOf({} as never)).to.match(message);
      expect(String(await discover([{} as never]).catch((error: unknown) => error))).to.match(message);
    });

    it('names five pending migrations and counts the rest', async () => {
      const files = ['1', '2', '3', '4', '5', '6', '7'].map((number) => `${number}.cjs`);
      const folder = folderOf('0.cjs');
      const database = databases.embed({ migrations: { directory: folder.path } });
      await database.migrate.latest();
      for (const file of files) folder.add(file);
      expect(await problemOf(database)).to.include('7 of 8 migrations are pending: 1.cjs, 2.cjs, 3.cjs, 4.cjs, 5.cjs and 2 more.');
    });

    it('rejects with the reason of a signal that is already aborted', async () => {
      const reason = new Error('enough');
      const problem: unknown = await checkMigrations(databases.embed(), { signal: AbortSignal.abort(reason) }).catch(
        (error: unknown) => error,
      );
      expect(problem).to.equal(reason);
    });

    it('rejects an unknown option', async () => {
      expect(await problemOf(databases.embed(), { table: 'x' } as object)).to.match(
        /Unknown option `table` of checkMigrations\(\)\. Known options:/,
      );
    });
  });
});
