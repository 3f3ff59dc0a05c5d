import { chownSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import knex from 'knex';
import { freePort, run, start } from './processes.js';
import { Service } from './services.js';

/** Debian keeps it outside the PATH of most users. */
const program = existsSync('/usr/sbin/mariadbd') ? '/usr/sbin/mariadbd' : 'mariadbd';

/** MariaDB with a root without a password and a database `app`, in a folder that goes with it, with `settings` as `--max-connections=30`. */
export async function startMariadb(...settings: readonly string[]): Promise<Service> {
  const folder = mkdtempSync(join(tmpdir(), 'koa-probes-mariadb-'));
  const user = process.getuid?.() === 0 ? ['--user=mysql'] : [];
  if (user.length > 0) chownSync(folder, Number(await run('id', ['-u', 'mysql'])), Number(await run('id', ['-g', 'mysql'])));
  const data = `--datadir=${join(folder, 'data')}`;
  // The default is /tmp, where two that are set up at the same time take each other's tables away.
  const temporary = `--tmpdir=${folder}`;
  const quick = [temporary, '--innodb-flush-log-at-trx-commit=0', '--innodb-log-file-size=4M', '--innodb-buffer-pool-size=16M'];
  const install = ['--no-defaults', data, ...user, ...quick, '--auth-root-authentication-method=normal', '--skip-test-db'];
  await run('mariadb-install-db', install);
  const port = await freePort();
  const listen = ['--bind-address=127.0.0.1', `--port=${String(port)}`, `--socket=${join(folder, 'socket')}`];
  const args = ['--no-defaults', data, ...user, ...quick, ...listen, '--skip-name-resolve', '--performance-schema=OFF', ...settings];
  const begin = () => {
    const child = start(program, args);
    // It ignores SIGINT, which is how a service is halted otherwise.
    return { ...child, stop: () => child.stop('SIGTERM') };
  };
  const cleanUp = () => rmSync(folder, { recursive: true, force: true });
  return new Service(port, begin, () => hasDatabase(port), cleanUp).start();
}

export function mariadbUrl(port: number): string {
  return `mysql://root@127.0.0.1:${String(port)}/app`;
}

async function hasDatabase(port: number): Promise<boolean> {
  const connection = { host: '127.0.0.1', port, user: 'root' };
  const server = knex({ client: 'mysql2', connection, pool: { min: 0, max: 1 }, log: { warn() {} } });
  try {
    await server.raw('CREATE DATABASE IF NOT EXISTS app');
    return true;
  } finally {
    await server.destroy();
  }
}
