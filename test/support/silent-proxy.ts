import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** Stands before a server as the network does before a node that vanishes: what is connected then, or connects before it is mended, hears nothing any more, for ever. */
export class SilentProxy {
  #isSilent = false;
  readonly #open = new Set<Socket>();
  readonly #served = new Set<Socket>();
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

  fail(): void {
    this.#isSilent = true;
    for (const upstream of this.#served) upstream.unpipe().destroy();
  }

  /** For those that connect from now on. */
  mend(): void {
    this.#isSilent = false;
  }

  /** As a load balancer does with those that have been idle for long: who speaks next is reset, or sees an orderly end. */
  forget(by: 'RST' | 'FIN' = 'RST'): void {
    for (const upstream of this.#served) upstream.unpipe().destroy();
    this.#served.clear();
    for (const socket of this.#open) {
      socket
        .unpipe()
        .resume()
        .once('data', () => (by === 'RST' ? socket.resetAndDestroy() : socket.end()));
    }
  }

  stop(): void {
    this.#server.close();
    this.hangUp();
  }

  hangUp(): void {
    for (const socket of this.#open) socket.destroy();
  }

  #serve(socket: Socket): void {
    this.#open.add(socket);
    socket
      .on('error', () => {})
      .once('close', () => this.#open.delete(socket))
      .resume();
    if (this.#isSilent) return;
    const upstream = connect(this.upstreamPort, '127.0.0.1').on('error', () => {});
    this.#served.add(upstream);
    socket.pipe(upstream).pipe(socket, { end: false });
    socket.once('close', () => upstream.destroy());
    upstream.once('close', () => {
      // Not by `fail()`: the server has hung up.
      if (this.#served.delete(upstream) && !this.#isSilent) socket.destroy();
    });
  }
}
