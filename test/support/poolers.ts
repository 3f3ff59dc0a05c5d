import { chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { accepts, freePort, start } from './processes.js';
import { idOf, Service } from './services.js';

export type PoolMode = 'session' | 'transaction' | 'statement';

/** PgBouncer before a PostgreSQL that trusts `postgres`, with `settings` as `max_client_conn = 10`. It refuses to run as root. */
export async function startPgbouncer(postgresPort: number, poolMode: PoolMode, ...settings: readonly string[]): Promise<Service> {
  const { folder, options } = await makeFolder('pgbouncer');
  const port = await freePort();
  const users = join(folder, 'users.txt');
  const file = join(folder, 'pgbouncer.ini');
  writeFileSync(users, '"postgres" ""\n');
  writeFileSync(
    file,
    `[databases]
* = host=127.0.0.1 port=${String(postgresPort)}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${String(port)}
unix_socket_dir =
auth_type = trust
auth_file = ${users}
pool_mode = ${poolMode}
default_pool_size = 10
${settings.join('\n')}
`,
  );
  const begin = () => {
    const child = start('pgbouncer', [file], options);
    // On SIGINT, which is how a service is halted otherwise, it waits for its clients.
    return { ...child, stop: () => child.stop('SIGTERM') };
  };
  return new Service(
    port,
    begin,
    () => accepts(port),
    () => rmSync(folder, { recursive: true, force: true }),
  ).start();
}

/** HAProxy before two servers: new connections go to the one that is switched to, or to both in turn, and those that are open stay where they are. */
export class Balancer {
  private constructor(
    private readonly service: Service,
    private readonly control: string,
  ) {}

  static async start(ports: readonly [number, number], { isSpread = false } = {}): Promise<Balancer> {
    const { folder, options } = await makeFolder('haproxy');
    const port = await freePort();
    const control = join(folder, 'control');
    const servers = ports.map(
      (one, place) => `  server s${String(place)} 127.0.0.1:${String(one)}${place === 0 || isSpread ? '' : ' disabled'}`,
    );
    const settings = join(folder, 'haproxy.cfg');
    writeFileSync(
      settings,
      `global
  stats socket ${control} level admin
defaults
  mode tcp
  timeout connect 1s
  timeout client 60s
  timeout server 60s
listen database
  bind 127.0.0.1:${String(port)}
${servers.join('\n')}
`,
    );
    const begin = () => start('haproxy', ['-db', '-f', settings], options);
    const cleanUp = () => rmSync(folder, { recursive: true, force: true });
    return new Balancer(await new Service(port, begin, () => accepts(port), cleanUp).start(), control);
  }

  get port(): number {
    return this.service.port;
  }

  async switchTo(place: 0 | 1): Promise<void> {
    const commands = [`set server database/s${String(place)} state ready`, `set server database/s${String(1 - place)} state maint`];
    const socket = connect(this.control);
    socket.end(`${commands.join(';')}\n`);
    const answer = (await text(socket)).trim();
    if (answer !== '') throw new Error(`HAProxy says: ${answer}`);
  }

  stop(): Promise<void> {
    return this.service.stop();
  }
}

async function makeFolder(name: string) {
  const folder = mkdtempSync(join(tmpdir(), `koa-probes-${name}-`));
  const owner = process.getuid?.() === 0 ? await idOf('nobody') : undefined;
  if (owner !== undefined) chownSync(folder, owner.uid, owner.gid);
  return { folder, options: { ...owner, cwd: folder } };
}
