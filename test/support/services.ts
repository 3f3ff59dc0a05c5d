import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import knex, { type Knex } from 'knex';
import { accepts, freePort, run, start, until, type Child } from './processes.js';

const isRoot = process.getuid?.() === 0;

/** A server of the test's own, on a free port of the loopback. */
export class Service {
  #child: Child | undefined;

  constructor(
    readonly port: number,
    private readonly begin: () => Child,
    private readonly isUp: () => Promise<boolean>,
    private readonly cleanUp: () => void = () => {},
  ) {}

  async start(): Promise<this> {
    const child = this.begin();
    this.#child = child;
    await until(() => {
      if (child.process.exitCode !== null) throw new Error(`The service ended: ${child.output()}`);
      return this.isUp();
    });
    return this;
  }

  /** Stops it, to be started again on the same port. */
  async halt(): Promise<void> {
    // PostgreSQL waits for its clients on SIGTERM, and not on SIGINT.
    await this.#child?.stop('SIGINT');
  }

  /** Its processes stay, and do nothing any more. */
  freeze(): void {
    this.#signal('SIGSTOP');
  }

  thaw(): void {
    this.#signal('SIGCONT');
  }

  async stop(): Promise<void> {
    this.thaw();
    await this.halt();
    this.cleanUp();
  }

  #signal(name: NodeJS.Signals): void {
    for (const pid of this.#pids()) {
      try {
        process.kill(pid, name);
      } catch (error) {
        // A connection has ended, and its process with it.
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    }
  }

  /** PostgreSQL serves each connection by a process of its own. */
  #pids(): number[] {
    const { pid, exitCode } = this.#child?.process ?? {};
    if (pid === undefined || exitCode !== null) return [];
    const children = readFileSync(`/proc/${String(pid)}/task/${String(pid)}/children`, 'utf8');
    return [pid, ...children.split(' ').filter(Boolean).map(Number)];
  }
}

export async function startMemcached(...args: readonly string[]): Promise<Service> {
  const port = await freePort();
  const user = isRoot ? ['-u', 'nobody'] : [];
  const begin = () => start('memcached', ['-l', '127.0.0.1', '-p', String(port), '-U', '0', ...user, ...args]);
  return new Service(port, begin, () => accepts(port)).start();
}

/** PostgreSQL with trust on the loopback, in a folder that goes with it. It refuses to run as root. */
export async function startPostgres(): Promise<Service> {
  const folder = mkdtempSync(join(tmpdir(), 'koa-probes-postgres-'));
  const data = join(folder, 'data');
  const owner = isRoot ? await idOf('postgres') : undefined;
  if (owner !== undefined) chownSync(folder, owner.uid, owner.gid);
  const options = { ...owner, cwd: folder };
  await run(postgresBinary('initdb'), ['-D', data, '-U', 'postgres', '-A', 'trust', '--no-sync', '--no-locale', '-E', 'UTF8'], options);
  const port = await freePort();
  const args = ['-D', data, '-p', String(port), '-h', '127.0.0.1', '-k', folder, '-c', 'fsync=off'];
  const begin = () => start(postgresBinary('postgres'), args, options);
  const cleanUp = () => rmSync(folder, { recursive: true, force: true });
  return new Service(port, begin, () => answersQueries(postgresUrl(port)), cleanUp).start();
}

export function postgresUrl(port: number): string {
  return `postgres://postgres@127.0.0.1:${String(port)}/postgres`;
}

async function answersQueries(url: string): Promise<boolean> {
  const database: Knex = knex({ client: 'pg', connection: url, pool: { min: 0, max: 1 }, log: { warn() {} } });
  try {
    await database.raw('SELECT 1');
    return true;
  } finally {
    await database.destroy();
  }
}

/** Debian keeps the server's programs outside the PATH. */
function postgresBinary(name: string): string {
  const versions = '/usr/lib/postgresql';
  const folders = existsSync(versions) ? readdirSync(versions).toSorted((a, b) => Number(b) - Number(a)) : [];
  return folders.map((version) => join(versions, version, 'bin', name)).find((path) => existsSync(path)) ?? name;
}

async function idOf(user: string): Promise<{ uid: number; gid: number }> {
  return { uid: Number(await run('id', ['-u', user])), gid: Number(await run('id', ['-g', user])) };
}
