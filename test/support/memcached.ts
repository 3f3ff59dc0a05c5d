import { chownSync, chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { accepts, freePort, run, start } from './processes.js';
import { Service } from './services.js';

const isRoot = process.getuid?.() === 0;
const user = isRoot ? ['-u', 'nobody'] : [];

export async function startMemcachedOnIpv6(): Promise<Service> {
  const port = await freePort();
  const begin = () => start('memcached', ['-l', '::1', '-p', String(port), '-U', '0', ...user]);
  const isUp = async () => {
    const socket = connect(port, '::1');
    try {
      await once(socket, 'connect');
      return true;
    } finally {
      socket.destroy();
    }
  };
  return new Service(port, begin, isUp).start();
}

/** With one user, who must name the realm that the user was made in. */
export const SASL_USER = { username: 'prober@realm', password: 'secret' } as const;

/** A memcached that answers nobody but `SASL_USER`. */
export async function startSaslMemcached(): Promise<Service> {
  const folder = mkdtempSync(join(tmpdir(), 'koa-probes-sasl-'));
  const database = join(folder, 'users');
  const settings = ['mech_list: plain', 'pwcheck_method: auxprop', 'auxprop_plugin: sasldb', `sasldb_path: ${database}`, ''];
  writeFileSync(join(folder, 'memcached.conf'), settings.join('\n'));
  const [name = '', realm = ''] = SASL_USER.username.split('@');
  await run('sh', ['-c', `printf ${SASL_USER.password} | saslpasswd2 -p -c -f ${database} -a memcached -u ${realm} ${name}`], {
    env: { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin` },
  });
  if (isRoot) {
    chmodSync(folder, 0o755);
    chownSync(database, Number(await run('id', ['-u', 'nobody'])), 0);
  }
  const port = await freePort();
  const begin = () =>
    start('memcached', ['-S', '-l', '127.0.0.1', '-p', String(port), '-U', '0', ...user], {
      env: { ...process.env, SASL_CONF_PATH: folder },
    });
  const cleanUp = () => rmSync(folder, { recursive: true, force: true });
  return new Service(port, begin, () => accepts(port), cleanUp).start();
}

export type MemcachedFault = (socket: Socket) => void;

const OPCODE_STAT = 0x10;

/** Stands before a real memcached and hands on what comes, but meets who asks for `stats`, as the probe does, with a fault. */
export class FaultyMemcached {
  fault: MemcachedFault | undefined;
  /** Connections that asked for `stats` while there was a fault. */
  met = 0;
  /** All connections that are open now, and the most that were at a time. */
  open = 0;
  mostOpen = 0;
  #held: (() => void)[] | undefined;
  readonly #server: Server;

  constructor(private readonly upstreamPort: number) {
    this.#server = createServer((socket) => this.#serve(socket));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async start(): Promise<this> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return this;
  }

  stop(): void {
    this.#server.close();
  }

  /** Keeps the requests that come from now on, other than those for `stats`, until they are let go. */
  hold(): { readonly held: number; release(): void } {
    const held: (() => void)[] = [];
    this.#held = held;
    return {
      get held() {
        return held.length;
      },
      release: () => {
        this.#held = undefined;
        for (const send of held) send();
      },
    };
  }

  #serve(socket: Socket): void {
    this.open += 1;
    this.mostOpen = Math.max(this.mostOpen, this.open);
    socket.on('error', () => {});
    socket.once('close', () => (this.open -= 1));
    const upstream = connect(this.upstreamPort, '127.0.0.1').on('error', () => socket.destroy());
    socket.once('close', () => upstream.destroy());
    upstream.pipe(socket);
    socket.on('data', (request) => {
      const isForStats = request[1] === OPCODE_STAT;
      if (isForStats && this.fault !== undefined) {
        this.met += 1;
        upstream.unpipe(socket);
        return this.fault(socket);
      }
      const send = () => void upstream.write(request);
      if (this.#held !== undefined && !isForStats) this.#held.push(send);
      else send();
    });
  }
}
