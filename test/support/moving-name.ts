import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** Stands for the DNS name of a managed service: who connects is led to the server that it stands for then, and stays there when it moves. */
export class MovingName {
  /** How many have connected so far. */
  connections = 0;
  readonly #open = new Set<Socket>();
  readonly #server: Server;

  constructor(private upstreamPort: number) {
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

  leadTo(port: number): void {
    this.upstreamPort = port;
  }

  stop(): void {
    this.#server.close();
    for (const socket of this.#open) socket.destroy();
  }

  #serve(socket: Socket): void {
    this.connections += 1;
    this.#open.add(socket);
    const upstream = connect(this.upstreamPort, '127.0.0.1').on('error', () => socket.destroy());
    socket.on('error', () => upstream.destroy()).once('close', () => this.#open.delete(socket));
    socket.pipe(upstream).pipe(socket);
  }
}
