import { Server } from 'node:net';

/**
 * From now on no server in this process listens. Each server behaves as if it listened at the given address.
 * The application is imported only to read its configuration, and its port may be in use, usually by the application itself.
 */
export function holdServers(): void {
  Server.prototype.listen = function listen(this: Server, ...given: readonly unknown[]) {
    const { port, host = '::', path } = readAddress(given);
    const callback = given.find((one) => typeof one === 'function');
    if (callback !== undefined) this.once('listening', callback as () => void);
    const address = path ?? { port: Number(port ?? 0), address: host, family: host.includes('.') ? 'IPv4' : 'IPv6' };
    this.address = () => address;
    Object.defineProperty(this, 'listening', { value: true, configurable: true });
    process.nextTick(() => this.emit('listening'));
    return this;
  };
}

/** A port is a number or a string with a number. */
interface Address {
  readonly port?: unknown;
  readonly host?: string;
  readonly path?: string;
}

/** Reads the arguments of `listen(port, host)`, `listen(path)`, `listen(options)`, or `listen()` for any free port. */
function readAddress([first, second]: readonly unknown[]): Address {
  if (typeof first === 'object' && first !== null) return first;
  if (typeof first === 'function') return {};
  if (typeof first === 'string' && !/^\d+$/.test(first)) return { path: first };
  return typeof second === 'string' ? { port: first, host: second } : { port: first };
}
