import knex, { type Knex } from 'knex';
import { mariadbUrl, startMariadb } from './mariadb.js';
import { postgresUrl, startPostgres, type Service } from './services.js';

/** A database server, seen from a test: how it is started and administered, and what it calls things. */
export interface DatabaseServer {
  readonly name: string;
  readonly client: 'pg' | 'mysql2';
  start(): Promise<Service>;
  adminUrl(port: number): string;
  /** Of the user `app`, whose password is checked, unlike that of the administrator. */
  appUrl(port: number, password?: string): string;
  createUser(admin: Knex): Promise<void>;
  setPassword(admin: Knex, password: string): Promise<unknown>;
  /** A user that may read nothing in the first place: how it is created, and what lets it read every table. */
  readonly reader: readonly [string, ...string[]];
  readerUrl(port: number): string;
  readonly sleep: string;
  /** Keeps everyone else away from a table until the connection says `unlock`. */
  lock(table: string): string;
  readonly unlock: string;
  /** Waits for a lock that nobody but one has, until that disconnects. Resolves to whether it was given, and not cut short. */
  getLock(on: Knex): Promise<boolean>;
  /** What the server calls the connection of a pool of one. */
  numberOf(on: Knex): Promise<number | undefined>;
  /** What the connections of `app` run at the moment, an idle one included. */
  listRunning(admin: Knex): Promise<(string | null)[]>;
}

const postgres: DatabaseServer = {
  name: 'PostgreSQL',
  client: 'pg',
  start: startPostgres,
  adminUrl: postgresUrl,
  appUrl: (port, password = 'right') => `postgres://app:${password}@127.0.0.1:${String(port)}/postgres`,
  async createUser(admin) {
    await admin.raw("CREATE ROLE app LOGIN PASSWORD 'right'");
    await admin.raw('GRANT CREATE, USAGE ON SCHEMA public TO app');
    const { rows } = await admin.raw<{ rows: { hba_file: string }[] }>('SHOW hba_file');
    const rules = "VALUES ('host all app 127.0.0.1/32 scram-sha-256'), ('host all all 127.0.0.1/32 trust')";
    await admin.raw(`COPY (${rules}) TO '${String(rows[0]?.hba_file)}'`);
    await admin.raw('SELECT pg_reload_conf()');
  },
  setPassword: (admin, password) => admin.raw(`ALTER ROLE app PASSWORD '${password}'`),
  reader: ['CREATE ROLE reader LOGIN', 'GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader'],
  readerUrl: (port) => `postgres://reader@127.0.0.1:${String(port)}/postgres`,
  sleep: 'SELECT pg_sleep(60)',
  lock: (table) => `BEGIN; LOCK TABLE ${table}`,
  unlock: 'ROLLBACK',
  async getLock(on) {
    await on.raw('SELECT pg_advisory_lock(1)');
    return true;
  },
  async numberOf(on) {
    const { rows } = await on.raw<{ rows: { number: number }[] }>('SELECT pg_backend_pid() AS number');
    return rows[0]?.number;
  },
  async listRunning(admin) {
    const sql = "SELECT CASE state WHEN 'active' THEN query END AS query FROM pg_stat_activity WHERE usename = 'app'";
    const { rows } = await admin.raw<{ rows: { query: string | null }[] }>(sql);
    return rows.map(({ query }) => query);
  },
};

const mariadb: DatabaseServer = {
  name: 'MariaDB',
  client: 'mysql2',
  start: startMariadb,
  adminUrl: mariadbUrl,
  appUrl: (port, password = 'right') => `mysql://app:${password}@127.0.0.1:${String(port)}/app`,
  async createUser(admin) {
    await admin.raw("CREATE USER app IDENTIFIED BY 'right'");
    await admin.raw('GRANT ALL ON app.* TO app');
  },
  setPassword: (admin, password) => admin.raw(`ALTER USER app IDENTIFIED BY '${password}'`),
  reader: ['CREATE USER reader', 'GRANT SELECT ON app.* TO reader'],
  readerUrl: (port) => `mysql://reader@127.0.0.1:${String(port)}/app`,
  sleep: 'SELECT SLEEP(60)',
  lock: (table) => `LOCK TABLES ${table} WRITE`,
  unlock: 'UNLOCK TABLES',
  async getLock(on) {
    const [[row]] = (await on.raw("SELECT GET_LOCK('one', 60) AS given")) as [{ given: number | null }[]];
    return row?.given === 1;
  },
  async numberOf(on) {
    const [[row]] = (await on.raw('SELECT CONNECTION_ID() AS number')) as [{ number: number }[]];
    return row?.number;
  },
  async listRunning(admin) {
    const sql = "SELECT info AS query FROM information_schema.processlist WHERE user = 'app'";
    const [rows] = (await admin.raw(sql)) as [{ query: string | null }[]];
    return rows.map(({ query }) => query);
  },
};

export const databaseServers: readonly DatabaseServer[] = [postgres, mariadb];

/** Knexes of one test, which are closed when it is over. */
export class Databases {
  readonly #open: Knex[] = [];

  connect(client: string, connection: string, settings: Partial<Knex.Config> = {}): Knex {
    const silent = { warn() {} };
    return this.add(knex({ client, connection, pool: { min: 0, max: 2 }, useNullAsDefault: true, log: silent, ...settings }));
  }

  embed(settings: Partial<Knex.Config> = {}): Knex {
    return this.connect('better-sqlite3', ':memory:', { pool: { min: 1, max: 1 }, ...settings });
  }

  add(database: Knex): Knex {
    this.#open.push(database);
    return database;
  }

  async close(): Promise<void> {
    await Promise.all(this.#open.splice(0).map((database) => database.destroy()));
  }
}

/** Resolves when the Knex sends a query that contains the text: it has a connection then, however slow the machine is. */
export function querySent(database: Knex, text: string): Promise<void> {
  return new Promise((resolve) => {
    const onQuery = ({ sql }: { sql: string }) => {
      if (!sql.includes(text)) return;
      database.removeListener('query', onQuery);
      resolve();
    };
    database.on('query', onQuery);
  });
}

/** A signal that is aborted so long after the Knex has sent the query. */
export function abortAfterQuery(database: Knex, text: string, delayMs: number): AbortSignal {
  const controller = new AbortController();
  void querySent(database, text).then(() => setTimeout(() => controller.abort(), delayMs));
  return controller.signal;
}

interface Pool {
  numFree(): number;
  numUsed(): number;
  numPendingAcquires(): number;
  numPendingCreates(): number;
}

/** What a pool holds: knex does not type its own. */
export function poolOf(database: Knex): Pool {
  return (database.client as { pool: Pool }).pool;
}
