import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type Server } from 'node:http';
import * as http2 from 'node:http2';
import * as https from 'node:https';
import { connect, createServer as createTcpServer, type AddressInfo, type Server as NetServer, type Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'chai';
import { gracefulShutdown, ProbeRegistry, type GracefulShutdown, type ShutdownOptions, type ShutdownProgress } from 'koa-probes';
import { WebSocket, WebSocketServer } from 'ws';
import { Authority, type Certificate } from '../support/certificates.js';
import { MemoryLogger } from '../support/probes.js';
import { until } from '../support/processes.js';

describe('gracefulShutdown(servers, probes, options) with long-lived connections', () => {
  const authority = new Authority();
  let certificate: Certificate;
  let logger: MemoryLogger;
  let probes: ProbeRegistry;
  let progress: ShutdownProgress[];
  const cleanups: (() => unknown)[] = [];

  before(async () => (certificate = await (await authority.start()).issue()));
  after(() => authority.stop());
  beforeEach(() => {
    logger = new MemoryLogger();
    probes = new ProbeRegistry({ logger });
    progress = [];
    probes.on('shutdown', (phase) => progress.push(phase));
  });
  afterEach(() => {
    for (const clean of cleanups.splice(0)) clean();
    probes.close();
    process.exitCode = undefined;
  });

  function install(server: NetServer, options: ShutdownOptions = {}): GracefulShutdown {
    const shutdown = gracefulShutdown(server, probes, { drainDelayMs: 0, timeoutMs: 5_000, exit: false, signals: [], ...options });
    cleanups.push(() => shutdown.uninstall());
    return shutdown;
  }

  async function listen<T extends NetServer>(server: T): Promise<T> {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    cleanups.push(() => server.close());
    return server;
  }

  const portOf = (server: NetServer) => (server.address() as AddressInfo).port;
  const phase = (name: ShutdownProgress['phase']) => progress.find((one) => one.phase === name);

  for (const [protocol, make] of [
    ['ws', () => createServer()],
    ['wss', () => https.createServer(certificate)],
  ] as const) {
    describe(`WebSockets over ${protocol}`, () => {
      let server: Server;
      let sockets: WebSocketServer;
      beforeEach(async () => {
        server = await listen(make());
        sockets = new WebSocketServer({ server });
        sockets.on('connection', (socket) => socket.on('message', (message) => socket.send(message)));
      });

      async function chat(): Promise<{ socket: WebSocket; closed: Promise<[number]> }> {
        const socket = new WebSocket(`${protocol}://127.0.0.1:${String(portOf(server))}`, { ca: authority.ca });
        cleanups.push(() => socket.terminate());
        await once(socket, 'open');
        return { socket, closed: once(socket, 'close') as Promise<[number]> };
      }

      it('do not delay the hooks, stay open until the hooks finish, and are then closed with exit code 0', async () => {
        const shutdown = install(server);
        const { socket, closed } = await chat();
        let echoed = '';
        shutdown.onShutdown('database', async () => {
          socket.send('still here');
          echoed = String((await once(socket, 'message'))[0]);
        });
        expect(await shutdown.shutdown()).to.equal(0);
        expect(echoed).to.equal('still here');
        expect((await closed)[0]).to.equal(1006);
        expect(phase('hooks')).to.include({ connections: 1, upgradedConnections: 1, requests: 0 });
        expect(phase('finished')).to.include({ connections: 0, upgradedConnections: 0 });
        expect(logger.lines.join('\n')).to.include(
          'all requests and background work finished; 1 connection (1 upgraded, like WebSockets), 1 hook left (database)',
        );
      });

      it('can be closed by an onShutdown() hook', async () => {
        const shutdown = install(server);
        const { closed } = await chat();
        shutdown.onShutdown('websockets', async () => {
          for (const socket of sockets.clients) socket.close(1001);
          await until(() => sockets.clients.size === 0);
        });
        expect(await shutdown.shutdown()).to.equal(0);
        expect((await closed)[0]).to.equal(1001);
      });

      it('receive a closing message from an onClosing() hook, which does not have to wait for them', async () => {
        const shutdown = install(server);
        const { closed } = await chat();
        shutdown.onClosing('websockets', () => sockets.clients.forEach((socket) => socket.close(1001)));
        expect(await shutdown.shutdown()).to.equal(0);
        expect((await closed)[0]).to.equal(1001);
      });

      it('are destroyed if the client does not close its side, with exit code 0', async () => {
        const shutdown = install(server);
        const { socket } = await chat();
        socket.pause();
        expect(await shutdown.shutdown()).to.equal(0);
        expect(phase('finished')).to.include({ connections: 0 });
      });

      it('are closed within a short deadline', async () => {
        const shutdown = install(server, { timeoutMs: 600 });
        const { socket } = await chat();
        socket.pause();
        expect(await shutdown.shutdown()).to.equal(0);
      });

      it('do not stop the shutdown from waiting for a request in flight or tracked work', async () => {
        const done: string[] = [];
        server.on('request', (_request, response) => void pause(300).then(() => response.end('done')));
        const shutdown = install(server);
        await chat();
        const agent = protocol === 'ws' ? request : https.request;
        const sent = agent({ port: portOf(server), host: '127.0.0.1', ca: authority.ca, agent: false });
        const answered = (once(sent, 'response') as Promise<[IncomingMessage]>).then(async ([response]) => done.push(await text(response)));
        const arrived = once(server, 'request');
        sent.end();
        await arrived;
        void probes.lifecycle.track(pause(500).then(() => done.push('job')));
        shutdown.onShutdown('database', () => done.push('database'));
        expect(await shutdown.shutdown()).to.equal(0);
        await answered;
        expect(done).to.deep.equal(['done', 'job', 'database']);
      });
    });
  }

  it('closes a CONNECT tunnel like a WebSocket', async () => {
    const server = await listen(createServer());
    server.on('connect', (_request, socket: Socket) => socket.write('HTTP/1.1 200 Connection Established\r\n\r\n'));
    const shutdown = install(server);
    const socket = connect(portOf(server), '127.0.0.1');
    cleanups.push(() => socket.destroy());
    socket.write('CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n');
    await once(socket, 'data');
    const closed = once(socket.resume(), 'end');
    expect(await shutdown.shutdown()).to.equal(0);
    await closed;
  });

  it('waits for an upgrade request without a response, and closes it after the hooks', async () => {
    const server = await listen(createServer((_request, response) => response.end('first')));
    server.on('upgrade', (_request, upgraded: Socket) => {
      setTimeout(() => upgraded.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n'), 400);
    });
    const shutdown = install(server);
    const socket = connect(portOf(server), '127.0.0.1');
    cleanups.push(() => socket.destroy());
    // The connection has had an answer before.
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await once(socket, 'data');
    const asked = once(server, 'upgrade');
    socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
    await asked;
    const code = shutdown.shutdown();
    expect(await text(socket)).to.match(/^HTTP\/1\.1 101 /);
    expect(await code).to.equal(0);
    expect(phase('hooks')).to.include({ upgradedConnections: 1 });
  });

  it('closes hundreds of WebSockets', async () => {
    const server = await listen(createServer());
    const sockets = new WebSocketServer({ server });
    const shutdown = install(server);
    const clients = await Promise.all(
      Array.from({ length: 300 }, async () => {
        const socket = new WebSocket(`ws://127.0.0.1:${String(portOf(server))}`);
        cleanups.push(() => socket.terminate());
        await once(socket, 'open');
        return { closed: once(socket, 'close') };
      }),
    );
    await until(() => sockets.clients.size === 300);
    expect(await shutdown.shutdown()).to.equal(0);
    await Promise.all(clients.map(({ closed }) => closed));
    expect(phase('hooks')).to.include({ upgradedConnections: 300 });
  });

  it('delays the hooks for half a request, which is not a WebSocket', async () => {
    const server = await listen(createServer((_request, response) => response.end('done')));
    const shutdown = install(server);
    const socket = connect(portOf(server), '127.0.0.1');
    cleanups.push(() => socket.destroy());
    const accepted = once(server, 'connection') as Promise<[Socket]>;
    socket.write('GET / HTTP/1.1\r\n');
    const [connection] = await accepted;
    await until(() => connection.bytesRead > 0);
    const code = shutdown.shutdown();
    await until(() => phase('closing') !== undefined);
    await pause(400);
    expect(phase('hooks')).to.equal(undefined);
    socket.write('Host: a\r\n\r\n');
    expect(await code).to.equal(0);
    expect(await text(socket)).to.include('done');
  });

  describe('requests that last longer than a minute', () => {
    const realNow = performance.now.bind(performance);
    afterEach(() => (performance.now = realNow));

    it('are counted, and the log line says how to end them', async () => {
      const server = await listen(createServer((_request, response) => response.write('data: 1\n\n')));
      const shutdown = install(server, { timeoutMs: 400 });
      const open = async () => {
        const sent = request({ port: portOf(server), host: '127.0.0.1', agent: false }).on('error', () => {});
        sent.end();
        const [response] = (await once(sent, 'response')) as [IncomingMessage];
        response.on('error', () => {}).resume();
      };
      await open();
      performance.now = () => realNow() + 61_000;
      await open();
      expect(await shutdown.shutdown()).to.equal(1);
      expect(phase('closing')).to.include({ requests: 2, longRequests: 1 });
      expect(logger.lines.join('\n')).to.match(
        /the listeners are closed; 2 connections, 2 requests in flight \(1 for longer than a minute: .*shutdownSignal.*onClosing/,
      );
    });
  });

  for (const [title, make, scheme] of [
    ['with TLS', () => http2.createSecureServer(certificate), 'https'],
    ['without TLS', () => http2.createServer(), 'http'],
  ] as const) {
    describe(`HTTP/2 ${title}`, () => {
      let server: NetServer;
      let streams: { stream: http2.ServerHttp2Stream; path: string }[];
      beforeEach(async () => {
        streams = [];
        server = await listen(make());
        server.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
          stream.on('error', () => {});
          streams.push({ stream, path: headers[':path'] ?? '' });
          if (headers[':path'] === '/quick') stream.end('quick');
        });
      });

      async function dial(port: number): Promise<http2.ClientHttp2Session> {
        const client = http2.connect(`${scheme}://127.0.0.1:${String(port)}`, { ca: authority.ca }).on('error', () => {});
        cleanups.push(() => client.destroy());
        await once(client, 'connect');
        return client;
      }

      /** The body, or why there is none. */
      const ask = (client: http2.ClientHttp2Session, path: string) =>
        text(client.request({ ':path': path })).catch((error: NodeJS.ErrnoException) => error.message);

      it('refuses a stream that was sent before the client received the GOAWAY, so that the client repeats it, and finishes earlier streams', async () => {
        const link = await startLink(portOf(server));
        cleanups.push(() => link.close());
        const shutdown = install(server, { drainDelayMs: 2_000, timeoutMs: 20_000 });
        const client = await dial(link.port);
        const before = ask(client, '/slow');
        await until(() => streams.length === 1);
        link.holdAnswers();
        const notice = once(client, 'goaway');
        const code = shutdown.shutdown();
        const onItsWay = ask(client, '/quick');
        await until(() => link.sent().length > 0 && link.hasArrived());
        link.releaseAnswers();
        expect((await notice).slice(0, 2)).to.deep.equal([0, 1]);
        expect(await onItsWay).to.match(/REFUSED_STREAM/);
        expect(phase('closing')).to.equal(undefined);
        expect(streams.map(({ path }) => path)).to.deep.equal(['/slow']);
        expect(await ask(await dial(link.port), '/quick')).to.equal('quick');
        streams[0]?.stream.end('slow');
        expect(await before).to.equal('slow');
        expect(await code).to.equal(0);
      });

      it('does not wait for a CONNECT tunnel, and closes it after the hooks', async () => {
        const shutdown = install(server);
        const client = await dial(portOf(server));
        const tunnel = client.request({ ':method': 'CONNECT', ':authority': 'example.org:443' }).on('error', () => {});
        cleanups.push(() => tunnel.destroy());
        await until(() => streams.length === 1);
        streams[0]?.stream.respond({ ':status': 200 });
        await once(tunnel, 'response');
        const slow = ask(client, '/slow');
        await until(() => streams.length === 2);
        let isOpen = false;
        shutdown.onShutdown('database', () => (isOpen = !tunnel.closed));
        const code = shutdown.shutdown();
        await until(() => phase('closing') !== undefined);
        expect(phase('closing')).to.include({ requests: 1, upgradedConnections: 0 });
        streams[1]?.stream.end('slow');
        expect(await slow).to.equal('slow');
        expect(await code).to.equal(0);
        expect(isOpen).to.equal(true);
        expect(phase('hooks')).to.include({ requests: 0, connections: 1, upgradedConnections: 1 });
        await until(() => client.destroyed);
      });
    });
  }
});

/** A connection to a server on which the answers can be held back, as on a long way. */
async function startLink(port: number) {
  let isHolding = false;
  const held: (() => void)[] = [];
  const outstanding = new Set<object>();
  let sent: Buffer[] = [];
  const sockets: Socket[] = [];
  const link = createTcpServer((client) => {
    const server = connect(port, '127.0.0.1');
    sockets.push(client, server);
    for (const socket of [client, server]) socket.on('error', () => {});
    client.on('data', (chunk: Buffer) => {
      if (isHolding) sent.push(chunk);
      outstanding.add(chunk);
      server.write(chunk, () => outstanding.delete(chunk));
    });
    server.on('data', (chunk: Buffer) => {
      if (isHolding) held.push(() => client.write(chunk));
      else client.write(chunk);
    });
    client.on('close', () => server.destroy());
    server.on('close', () => client.destroy());
  }).listen(0, '127.0.0.1');
  await once(link, 'listening');
  return {
    port: (link.address() as AddressInfo).port,
    holdAnswers: () => {
      isHolding = true;
      sent = [];
    },
    sent: () => sent,
    hasArrived: () => outstanding.size === 0,
    releaseAnswers: () => {
      isHolding = false;
      for (const release of held.splice(0)) release();
    },
    close: () => {
      link.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
