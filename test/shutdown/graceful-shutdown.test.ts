import { channel } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import * as http2 from 'node:http2';
import * as https from 'node:https';
import { connect, type AddressInfo, type Server as NetServer, type Socket } from 'node:net';
import { Duplex, PassThrough } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { connect as connectSecurely } from 'node:tls';
import { expect } from 'chai';
import { Container } from 'inversify';
import Koa from 'koa';
import {
  ConfigurationError,
  discoverProbes,
  gracefulShutdown,
  ProbeRegistry,
  type GracefulShutdown,
  type ShutdownOptions,
  type ShutdownProgress,
} from 'koa-probes';
import { Authority, type Certificate } from '../support/certificates.js';
import { ask, urlOf } from '../support/http.js';
import { MemoryLogger } from '../support/probes.js';
import { start, until } from '../support/processes.js';

/** A hundred clients that connect at once and send a request each. */
const CROWD = `
  const { connect } = require('node:net');
  let open = 100;
  let answered = 0;
  for (let i = 0; i < 100; i += 1) {
    const socket = connect(Number(process.argv[1]), '127.0.0.1');
    socket.write('GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n');
    socket.on('error', () => {});
    socket.once('data', () => (answered += 1));
    socket.once('close', () => --open === 0 && process.stdout.write(answered + ' answered'));
  }
`;

/** Connections to a port of the loopback that the kernel has accepted, whether the application has or not. */
function countEstablished(port: number): number {
  const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const lines = readFileSync('/proc/net/tcp', 'utf8').split('\n');
  return lines.filter((line) => line.trim().split(/\s+/)[1] === local && line.trim().split(/\s+/)[3] === '01').length;
}

describe('gracefulShutdown(servers, probes, options)', () => {
  let logger: MemoryLogger;
  let probes: ProbeRegistry;
  let installed: GracefulShutdown[];
  let sockets: Socket[];
  let listening: NetServer[];
  const codes: number[] = [];

  beforeEach(() => {
    logger = new MemoryLogger();
    probes = new ProbeRegistry({ logger });
    installed = [];
    sockets = [];
    listening = [];
    codes.length = 0;
  });
  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    for (const shutdown of installed) shutdown.uninstall();
    for (const server of listening) server.close();
    probes.close();
    process.exitCode = undefined;
  });

  const portOf = (server: NetServer) => (server.address() as AddressInfo).port;

  /** In this process: what would be the exit is a number in `codes`. */
  function install(servers: NetServer | readonly NetServer[], options: ShutdownOptions = {}): GracefulShutdown {
    const shutdown = gracefulShutdown(servers, probes, { drainDelayMs: 0, timeoutMs: 5_000, exit: (code) => codes.push(code), ...options });
    installed.push(shutdown);
    return shutdown;
  }

  async function listen<T extends NetServer>(server: T): Promise<T> {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    listening.push(server);
    return server;
  }

  async function dial(server: NetServer, options: { allowHalfOpen?: boolean } = {}): Promise<Socket> {
    const socket = connect({ port: portOf(server), host: '127.0.0.1', ...options }).on('error', () => {});
    sockets.push(socket);
    await once(socket, 'connect');
    return socket;
  }

  async function read(socket: Socket): Promise<string> {
    let text = '';
    for await (const chunk of socket) text += String(chunk);
    return text;
  }

  const GET = (path = '/') => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;

  /** A server whose answers wait until they are let go. */
  async function startHeld(write: (response: ServerResponse) => void = (response) => response.end('done')) {
    const held: ServerResponse[] = [];
    const server = await listen(createServer((_request, response) => held.push(response)));
    return { server, held, letGo: () => held.splice(0).forEach(write) };
  }

  describe('responses', () => {
    const cases: { title: string; write: (response: ServerResponse) => void }[] = [
      { title: 'no connection header', write: (response) => response.end('done') },
      { title: 'a header that is set', write: (response) => response.setHeader('Connection', 'keep-alive').end('done') },
      {
        title: 'a head with an object',
        write: (response) => response.writeHead(200, { Connection: 'keep-alive', 'X-Own': '1' }).end('done'),
      },
      {
        title: 'a head with a list',
        write: (response) => response.writeHead(200, 'Fine', ['connection', 'keep-alive', 'X-Own', '1']).end('done'),
      },
      { title: 'a header that is appended', write: (response) => response.appendHeader('connection', 'keep-alive').end('done') },
      { title: 'headers that are flushed', write: (response) => (response.flushHeaders(), response.end('done')) },
      {
        title: 'headers that are all removed',
        write: (response) => {
          for (const name of response.getHeaderNames()) response.removeHeader(name);
          response.end('done');
        },
      },
    ];
    for (const { title, write } of cases) {
      it(`tell the client to close the connection, for requests in flight and new requests, with ${title}`, async () => {
        const { server, held, letGo } = await startHeld(write);
        const shutdown = install(server, { drainDelayMs: 300 });
        const early = await dial(server);
        early.write(GET());
        await until(() => held.length === 1);
        void shutdown.shutdown();
        const late = await dial(server);
        late.write(GET());
        await until(() => held.length === 2);
        letGo();
        for (const answer of await Promise.all([read(early), read(late)])) {
          expect(answer).to.match(/^HTTP\/1\.1 200 /);
          expect(answer.match(/^connection: .*$/gim)).to.deep.equal(['Connection: close']);
        }
      });
    }

    it('tell the client to close the connection if Koa answers with an error and removes all headers', async () => {
      const app = new Koa({ env: 'test' }).on('error', () => {});
      app.use((ctx) => {
        ctx.set('Connection', 'keep-alive');
        ctx.throw(500);
      });
      const answer = app.callback();
      const server = await listen(createServer((request, response) => void answer(request, response)));
      const shutdown = install(server, { drainDelayMs: 300 });
      void shutdown.shutdown();
      expect((await ask(urlOf(server), { headers: { connection: 'keep-alive' } })).headers.connection).to.equal('close');
    });

    it('answer every request of a pipeline, and close the connection with the last one', async () => {
      const { server, held, letGo } = await startHeld();
      const shutdown = install(server, { drainDelayMs: 300 });
      const socket = await dial(server);
      socket.write(GET('/1'));
      await until(() => held.length === 1);
      void shutdown.shutdown();
      socket.write(GET('/2') + GET('/3'));
      await until(() => held.length === 3);
      letGo();
      const answer = await read(socket);
      expect(answer.match(/HTTP\/1\.1 200 OK/g)).to.have.lengthOf(3);
      expect(answer.match(/^connection: .*$/gim)).to.deep.equal(['Connection: keep-alive', 'Connection: keep-alive', 'Connection: close']);
    });

    it('keep every header that is repeated in a list', async () => {
      const { server, held, letGo } = await startHeld((response) => {
        response.writeHead(200, ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'Connection', 'keep-alive']).end('done');
      });
      const shutdown = install(server);
      const socket = await dial(server);
      socket.write(GET());
      await until(() => held.length === 1);
      void shutdown.shutdown();
      letGo();
      const answer = await read(socket);
      expect(answer.match(/^(set-cookie|connection): .*$/gim)).to.have.members(['Set-Cookie: a=1', 'Set-Cookie: b=2', 'Connection: close']);
    });

    it('tell the client to close the connection if the response is sent before the request has ended', async () => {
      const server = await listen(createServer((_request, response) => response.end('done')));
      const shutdown = install(server, { drainDelayMs: 300 });
      const done = shutdown.shutdown();
      const socket = await dial(server);
      socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody');
      expect(await read(socket)).to.match(/^HTTP\/1\.1 200 [^]*Connection: close[^]*done$/);
      expect(await done).to.equal(0);
    });

    const uploads: { title: string; refuse: RequestListener }[] = [
      {
        title: 'the application has not read',
        refuse: (_request, response) => response.writeHead(401).end('no'),
      },
      {
        title: 'the application has read in part',
        refuse: (request, response) => {
          request.once('data', () => {
            request.pause();
            response.writeHead(413).end('no');
          });
        },
      },
      {
        title: 'the application has paused with a listener attached',
        refuse: (request, response) => {
          request.on('data', () => {
            if (response.headersSent) return;
            request.pause();
            response.writeHead(413).end('no');
          });
        },
      },
      {
        title: 'gets a response without a length',
        refuse: (_request, response) => {
          response.removeHeader('Transfer-Encoding');
          response.writeHead(401).write('no');
          response.end();
        },
      },
    ];
    for (const { title, refuse } of uploads) {
      it(`tell the client to close the connection, and do not cut off an upload that ${title}`, async () => {
        const server = await listen(createServer(refuse));
        const shutdown = install(server, { drainDelayMs: 50 });
        const socket = await dial(server, { allowHalfOpen: true });
        const errors: Error[] = [];
        socket.on('error', (error) => errors.push(error));
        let answer = '';
        socket.on('data', (chunk) => (answer += String(chunk)));
        const closed = once(socket, 'close');
        const done = shutdown.shutdown();
        socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000001\r\n\r\n1');
        await once(socket, 'end');
        expect(answer).to.match(/^HTTP\/1\.1 4\d\d [^]*Connection: close[^]*\bno\b/);
        // Longer than a connection at rest is left.
        await pause(400);
        for (let part = 0; part < 3; part += 1) await new Promise((resolve) => socket.write(Buffer.alloc(1_000_000), resolve));
        socket.end();
        await closed;
        expect(errors).to.deep.equal([]);
        expect(await done).to.equal(0);
      });
    }

    it('do not change before the shutdown', async () => {
      const { server, held, letGo } = await startHeld();
      install(server);
      const answer = ask(urlOf(server), { headers: { connection: 'keep-alive' } });
      await until(() => held.length === 1);
      letGo();
      expect((await answer).headers.connection).to.equal('keep-alive');
    });
  });

  describe('connections', () => {
    it('are served while they are kept alive, and closed after the delay', async () => {
      const server = await listen(createServer((_request, response) => response.end('done')));
      const shutdown = install(server, { drainDelayMs: 300 });
      const used = await dial(server);
      const idle = await dial(server);
      for (const socket of [used, idle]) {
        socket.write(GET());
        await once(socket, 'data');
      }
      const done = shutdown.shutdown();
      used.write(GET());
      expect(await read(used)).to.match(/Connection: close/);
      expect(idle.destroyed).to.equal(false);
      await read(idle);
      expect(await done).to.equal(0);
      expect(codes).to.deep.equal([0]);
    });

    it('are closed once the response is sent if their client was told before the signal that they stay open', async () => {
      const { server, held, letGo } = await startHeld((response) => response.end('done'));
      const shutdown = install(server);
      const socket = await dial(server);
      socket.write(GET());
      await until(() => held.length === 1);
      held[0]?.flushHeaders();
      const done = shutdown.shutdown();
      await until(() => logger.lines.some((line) => line.includes('the listeners are closed')));
      letGo();
      expect(await read(socket)).to.match(/Connection: keep-alive[^]*done/);
      expect(await done).to.equal(0);
    });

    it('are closed only after the body of a request has arrived, even if the response was sent earlier', async () => {
      const server = await listen(createServer((_request, response) => response.writeHead(401).end('no')));
      server.keepAliveTimeout = 60_000;
      const shutdown = install(server);
      const socket = await dial(server);
      socket.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n');
      await once(socket, 'data');
      const done = shutdown.shutdown();
      await until(() => !server.listening);
      // Longer than a connection at rest is left.
      await pause(400);
      expect(socket.readyState).to.equal('open');
      socket.write('body');
      expect(await read(socket)).to.equal('');
      expect(await done).to.equal(0);
    });

    it('are closed only after the second half of a request whose first half came before the previous response', async () => {
      const { server, held, letGo } = await startHeld();
      const shutdown = install(server);
      const socket = await dial(server);
      socket.write(GET('/1'));
      await until(() => held.length === 1);
      held[0]?.flushHeaders();
      const before = held[0]?.socket?.bytesRead ?? 0;
      socket.write('GET /2 HTTP/1.1\r\n');
      await until(() => (held[0]?.socket?.bytesRead ?? 0) > before);
      const done = shutdown.shutdown();
      await until(() => !server.listening);
      letGo();
      await once(socket, 'data');
      // Longer than a connection at rest is left.
      await pause(400);
      socket.write('Host: a\r\n\r\n');
      const rest = read(socket);
      await until(() => held.length === 1);
      letGo();
      expect(await rest).to.match(/200 OK[^]*Connection: close[^]*done/);
      expect(await done).to.equal(0);
    });

    it('stay open for a request that was in flight at the installation', async () => {
      const { server, held, letGo } = await startHeld();
      const answer = ask(urlOf(server), { headers: { connection: 'keep-alive' } });
      await until(() => held.length === 1);
      const done = install(server).shutdown();
      await until(() => logger.lines.some((line) => line.includes('the listeners are closed')));
      letGo();
      expect(await answer).to.include({ status: 200, body: 'done' });
      expect(await done).to.equal(0);
    });

    it('are counted if they were open before the installation', async () => {
      const { server, held, letGo } = await startHeld();
      const early = await dial(server);
      await until(() => new Promise((resolve) => server.getConnections((_error, count) => resolve(count === 1))));
      const shutdown = install(server);
      early.write(GET());
      await until(() => held.length === 1);
      const events: ShutdownProgress[] = [];
      probes.on('shutdown', (progress) => events.push(progress));
      const done = shutdown.shutdown();
      await until(() => events.length === 2);
      letGo();
      expect(await read(early)).to.include('done');
      expect(await done).to.equal(0);
      expect(events[0]).to.include({ phase: 'draining', connections: 1, requests: 1 });
    });

    it('are closed when idle even if they are not sockets', async () => {
      const server = await listen(createServer((_request, response) => response.end('done')));
      const shutdown = install(server);
      const [toServer, toClient] = [new PassThrough(), new PassThrough()];
      const connection = Duplex.from({ readable: toServer, writable: toClient });
      server.emit('connection', connection);
      toServer.write(GET());
      await once(toClient, 'data');
      expect(await shutdown.shutdown()).to.equal(0);
      expect(connection.destroyed).to.equal(true);
    });

    it('are left to a hook if they are upgraded', async () => {
      const server = await listen(createServer());
      const upgraded: Socket[] = [];
      server.on('upgrade', (_request, socket: Socket) => {
        upgraded.push(socket);
        socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
      });
      const shutdown = install(server);
      shutdown.onClosing('sockets', () => upgraded.forEach((socket) => socket.end('bye')));
      const socket = await dial(server);
      socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
      await once(socket, 'data');
      const done = shutdown.shutdown();
      expect(await read(socket)).to.equal('bye');
      expect(await done).to.equal(0);
    });

    it('are closed when idle, two hundred of them, and a request that arrives meanwhile is answered', async () => {
      const server = await listen(createServer((_request, response) => response.end('done')));
      const shutdown = install(server, { drainDelayMs: 50 });
      const idle = await Promise.all(Array.from({ length: 200 }, () => dial(server)));
      probes.on('shutdown', ({ phase }) => {
        if (phase === 'closing') idle.at(-1)?.write(GET());
      });
      const done = shutdown.shutdown();
      const answers = await Promise.all(idle.map(read));
      expect(answers.at(-1)).to.match(/200 OK[^]*Connection: close/);
      expect(answers.slice(0, -1).join('')).to.equal('');
      expect(await done).to.equal(0);
    });

    it('that wait to be accepted when the listener closes are all answered', async () => {
      const server = await listen(createServer((_request, response) => response.end('done')));
      const shutdown = install(server);
      const client = start(process.execPath, ['-e', CROWD, String(portOf(server))]);
      // The loop stands still until the kernel has them all.
      while (countEstablished(portOf(server)) < 100);
      expect(await shutdown.shutdown()).to.equal(0);
      await until(() => client.output() !== '');
      expect(client.output()).to.equal('100 answered');
    });

    it('with half a request are left to the timeout of the server', async () => {
      const times = { headersTimeout: 600, requestTimeout: 600, connectionsCheckingInterval: 100 };
      const server = await listen(createServer(times, (_request, response) => response.end('done')));
      const shutdown = install(server);
      const accepted = once(server, 'connection') as Promise<[Socket]>;
      const socket = await dial(server);
      const [connection] = await accepted;
      socket.write('GET / HTTP/1.1\r\n');
      await until(() => connection.bytesRead > 0);
      const done = shutdown.shutdown();
      expect(await read(socket)).to.match(/^HTTP\/1\.1 408 /);
      expect(await done).to.equal(0);
      expect(logger.lines.join('\n')).to.match(/the listeners are closed; 1 connection$/m);
    });

    it('do not change that each server is closed once', async () => {
      const server = await listen(createServer((_request, response) => response.end('done')));
      const other = await listen(createServer());
      let closed = 0;
      for (const one of [server, other]) one.on('close', () => (closed += 1));
      const shutdown = install([server, other]);
      await dial(server);
      await shutdown.shutdown();
      await until(() => closed === 2);
      await new Promise((resolve) => setImmediate(resolve));
      expect(closed).to.equal(2);
    });

    it('do not block the shutdown if a client disconnects during its request', async () => {
      const { server, held } = await startHeld();
      const shutdown = install(server);
      const socket = await dial(server);
      socket.write(GET());
      await until(() => held.length === 1);
      const done = shutdown.shutdown();
      socket.destroy();
      expect(await done).to.equal(0);
    });

    it('are not closed together with the listener when idle', async () => {
      const server = await listen(createServer((_request, response) => response.end('done')));
      const shutdown = install(server);
      const socket = await dial(server);
      socket.write(GET());
      await once(socket, 'data');
      const done = shutdown.shutdown();
      await until(() => !server.listening);
      socket.write(GET());
      expect(await read(socket)).to.include('Connection: close');
      expect(await done).to.equal(0);
    });
  });

  describe('TLS and HTTP/2', () => {
    const authority = new Authority();
    let certificate: Certificate;
    before(async () => {
      certificate = await (await authority.start()).issue();
    });
    after(() => authority.stop());

    const done: RequestListener = (_request, response) => setTimeout(() => response.end('done'), 200);

    /** One request, and what became of it. */
    function request(client: http2.ClientHttp2Session): Promise<string> {
      return new Promise((resolve) => {
        const stream = client.request({ ':path': '/' });
        let body = '';
        stream.on('data', (chunk) => (body += String(chunk)));
        stream.on('error', (error) => resolve(error.message));
        stream.on('end', () => resolve(body));
      });
    }

    it('finish requests in flight on an https server, and close connections that are idle or without a handshake', async () => {
      const server = await listen(https.createServer(certificate, done));
      const shutdown = install(server);
      const raw = await dial(server);
      const secure = await Promise.all(
        Array.from({ length: 2 }, async () => {
          const socket = connectSecurely({ port: portOf(server), host: '127.0.0.1', ca: authority.ca });
          sockets.push(socket);
          await once(socket, 'secureConnect');
          return socket;
        }),
      );
      const events: ShutdownProgress[] = [];
      probes.on('shutdown', (progress) => events.push(progress));
      secure[0]?.write(GET());
      await until(() => new Promise((resolve) => server.getConnections((_error, count) => resolve(count === 3))));
      const code = shutdown.shutdown();
      const [answer, silence] = await Promise.all([...secure, raw].map(read));
      expect(answer).to.match(/200 OK[^]*Connection: close[^]*done/);
      expect(silence).to.equal('');
      expect(await code).to.equal(0);
      expect(events[0]).to.include({ phase: 'draining', connections: 3 });
    });

    for (const [title, make] of [
      ['with TLS', () => http2.createSecureServer({ ...certificate, allowHTTP1: true }, done as never)],
      ['without TLS', () => http2.createServer(done as never)],
    ] as const) {
      it(`tell the clients of an http2 server ${title} to open no more streams, and finish the open streams`, async () => {
        const server = await listen(make());
        let sessions = 0;
        server.on('session', () => (sessions += 1));
        const shutdown = install(server, { drainDelayMs: 100 });
        const scheme = title === 'with TLS' ? 'https' : 'http';
        const dialSession = () => http2.connect(`${scheme}://127.0.0.1:${String(portOf(server))}`, { ca: authority.ca });
        const clients = [dialSession(), dialSession()];
        await Promise.all(clients.map((client) => once(client, 'connect')));
        const [busy, idle] = clients as [http2.ClientHttp2Session, http2.ClientHttp2Session];
        const opened = once(server, 'stream');
        const streams = [request(busy), request(busy)];
        const notices = clients.map((client) => once(client, 'goaway'));
        const events: ShutdownProgress[] = [];
        probes.on('shutdown', (progress) => events.push(progress));
        await until(() => sessions === 2);
        await opened;
        const code = shutdown.shutdown();
        // The stream that was opened last, and none: what a client sends after the notice it may repeat elsewhere.
        expect((await Promise.all(notices)).map(([code_, last]) => [code_, last])).to.deep.equal([
          [0, 3],
          [0, 0],
        ]);
        expect(await Promise.all(streams)).to.deep.equal(['done', 'done']);
        expect(await code).to.equal(0);
        await until(() => idle.destroyed && busy.destroyed);
        expect(events[0]?.connections).to.equal(2);
      });
    }

    it('serve a session that begins after the signal, and tell its client then', async () => {
      const server = await listen(http2.createServer(done as never));
      const shutdown = install(server, { drainDelayMs: 600 });
      const code = shutdown.shutdown();
      const client = http2.connect(`http://127.0.0.1:${String(portOf(server))}`);
      const notice = once(client, 'goaway');
      expect(await request(client)).to.equal('done');
      await notice;
      expect(await code).to.equal(0);
    });

    it('finish streams that were open before the installation', async () => {
      const server = await listen(http2.createServer());
      const client = http2.connect(`http://127.0.0.1:${String(portOf(server))}`);
      const opened = once(server, 'stream') as Promise<[http2.ServerHttp2Stream]>;
      const answer = request(client);
      const [stream] = await opened;
      const code = install(server).shutdown();
      await until(() => logger.lines.some((line) => line.includes('the listeners are closed')));
      stream.end('done');
      expect(await answer).to.equal('done');
      expect(codes).to.deep.equal([]);
      // On Node 20 nobody can tell the client of such a session to leave.
      client.close();
      expect(await code).to.equal(0);
    });

    it('tell each session once', async () => {
      const streams: http2.ServerHttp2Stream[] = [];
      const server = await listen(http2.createServer());
      server.on('stream', (stream: http2.ServerHttp2Stream) => streams.push(stream));
      let notices = 0;
      // The client of Node does not say how often it has heard.
      server.on('session', (session: http2.ServerHttp2Session) => {
        const goaway = session.goaway.bind(session);
        session.goaway = (code, last, data) => {
          // Without a code it is the one by which Node itself closes the session.
          if (code !== undefined) notices += 1;
          goaway(code, last, data);
        };
      });
      const shutdown = install(server, { drainDelayMs: 300 });
      const client = http2.connect(`http://127.0.0.1:${String(portOf(server))}`);
      const answers = Array.from({ length: 3 }, () => request(client));
      await until(() => streams.length === 3);
      const code = shutdown.shutdown();
      for (const [index, stream] of streams.entries()) {
        stream.end('done');
        expect(await answers[index]).to.equal('done');
      }
      expect(await code).to.equal(0);
      expect(notices).to.equal(1);
    });

    it('serve HTTP/1 on an http2 server like on any other server', async () => {
      const server = await listen(http2.createSecureServer({ ...certificate, allowHTTP1: true }, done as never));
      const shutdown = install(server);
      const socket = connectSecurely({ port: portOf(server), host: '127.0.0.1', ca: authority.ca, ALPNProtocols: ['http/1.1'] });
      sockets.push(socket);
      await once(socket, 'secureConnect');
      socket.write(GET());
      await once(server, 'request');
      const code = shutdown.shutdown();
      expect(await read(socket)).to.match(/200 OK[^]*Connection: close[^]*done/);
      expect(await code).to.equal(0);
    });
  });

  describe('the steps', () => {
    const phases = () => {
      const seen: ShutdownProgress[] = [];
      probes.on('shutdown', (progress) => seen.push(progress));
      return seen;
    };

    it('fail readiness in the turn of the call, and pass liveness', async () => {
      const shutdown = install([]);
      const done = shutdown.shutdown();
      expect(probes.lifecycle.state).to.equal('draining');
      expect((await probes.run('liveness')).status).to.equal('pass');
      expect((await probes.run('readiness')).status).to.equal('fail');
      await done;
    });

    it('run once, even if shutdown() is called several times', async () => {
      const seen = phases();
      const shutdown = install([]);
      const first = shutdown.shutdown('first');
      expect(shutdown.shutdown('second')).to.equal(first);
      await first;
      expect(seen.map(({ phase, reason }) => `${phase} by ${reason}`)).to.deep.equal(
        ['draining', 'closing', 'hooks', 'deactivating', 'finished'].map((phase) => `${phase} by first`),
      );
      expect(codes).to.deep.equal([0]);
    });

    it('call a hook that another hook registers', async () => {
      const called: string[] = [];
      const shutdown = install([]);
      shutdown.onShutdown('outer', () => shutdown.onShutdown('inner', () => called.push('inner')));
      await shutdown.shutdown();
      expect(called).to.deep.equal(['inner']);
    });

    it('call the onClosing() hooks once no new connection can arrive', async () => {
      const server = await listen(createServer());
      const shutdown = install(server);
      let isListening = true;
      shutdown.onClosing('sockets', () => (isListening = server.listening));
      await shutdown.shutdown();
      expect(isListening).to.equal(false);
    });

    it('wait for an onClosing() hook, and exit with 1 if it fails', async () => {
      const order: string[] = [];
      const shutdown = install([]);
      shutdown.onClosing('consumer', async () => {
        await until(() => logger.lines.some((line) => line.includes('the listeners are closed')));
        order.push('consumer');
        throw new Error('it would not stop');
      });
      shutdown.onShutdown('database', () => order.push('database'));
      expect(await shutdown.shutdown()).to.equal(1);
      expect(order).to.deep.equal(['consumer', 'database']);
      expect(logger.lines.join('\n')).to.include('error koa-probes: shutdown by the application: consumer failed: it would not stop');
    });

    it('call no further hook once the deadline is exceeded', async () => {
      const called: string[] = [];
      let letGo = () => {};
      const shutdown = install([], { timeoutMs: 100 });
      shutdown.onShutdown('never', () => called.push('never'));
      shutdown.onShutdown('slow', () => new Promise<void>((resolve) => (letGo = resolve)));
      expect(await shutdown.shutdown()).to.equal(1);
      letGo();
      await new Promise((resolve) => setImmediate(resolve));
      expect(called).to.deep.equal([]);
      expect(codes).to.deep.equal([1]);
    });

    it('wait for work that a hook begins', async () => {
      const ended: string[] = [];
      const shutdown = install([]);
      shutdown.onShutdown('outbox', () => {
        void probes.lifecycle.track(
          pause(50).then(() => ended.push('flush')),
          'flush',
        );
      });
      expect(await shutdown.shutdown()).to.equal(0);
      expect(ended).to.deep.equal(['flush']);
    });

    it('do not wait for the hooks of another shutdown of the same probes', async () => {
      const inner = install([]);
      const outer = install([]);
      outer.onShutdown('inner', () => inner.shutdown('outer'));
      expect(await outer.shutdown()).to.equal(0);
    });

    it('call an onClosing() hook at once if it is registered after the closing', async () => {
      const called: string[] = [];
      const shutdown = install([]);
      shutdown.onClosing('late', () => {
        shutdown.onClosing('later', () => called.push('later'));
      });
      await shutdown.shutdown();
      expect(called).to.deep.equal(['later']);
    });

    it('wait for an onClosing() hook that an onShutdown() hook registers', async () => {
      const ended: string[] = [];
      const shutdown = install([]);
      shutdown.onShutdown('database', () => {
        shutdown.onClosing('late', async () => {
          await pause(50);
          ended.push('late');
        });
      });
      expect(await shutdown.shutdown()).to.equal(0);
      expect(ended).to.deep.equal(['late']);
    });

    it('call at once, and wait for, a hook that is registered during the deactivation of the container', async () => {
      const ended: string[] = [];
      const container = new Container();
      probes = await discoverProbes(container, { classes: [], logger });
      const shutdown = install([]);
      container
        .bind('database')
        .toConstantValue('database')
        .onDeactivation(() => {
          shutdown.onShutdown('late', async () => {
            await pause(50);
            ended.push('late');
            throw new Error('too late');
          });
        });
      container.get('database');
      expect(await shutdown.shutdown()).to.equal(1);
      expect(ended).to.deep.equal(['late']);
      expect(logger.lines.join('\n')).to.include('late failed: too late');
    });

    it('can be started by detached methods', async () => {
      const called: string[] = [];
      const { onClosing, onShutdown, shutdown, uninstall } = install([]);
      onClosing('consumer', () => called.push('consumer'));
      onShutdown('database', () => called.push('database'));
      expect(await shutdown()).to.equal(0);
      uninstall();
      expect(called).to.deep.equal(['consumer', 'database']);
    });

    it('reject a reason that is not a non-empty string', async () => {
      const shutdown = install([]);
      for (const reason of [5, '', new Error('no')]) {
        expect(() => shutdown.shutdown(reason as never)).to.throw(
          ConfigurationError,
          'Expected `reason` of shutdown() to be a non-empty string, got',
        );
      }
      expect(probes.lifecycle.state).to.equal('running');
      expect(await shutdown.shutdown('a new release')).to.equal(0);
    });

    it('exit even if another shutdown has never begun', async () => {
      install([], { signals: [] });
      expect(await install([]).shutdown()).to.equal(0);
      expect(codes).to.deep.equal([0]);
    });

    it('handle a signal once if it is listed twice', async () => {
      install([], { signals: ['SIGUSR2', 'SIGUSR2'] });
      process.kill(process.pid, 'SIGUSR2');
      await until(() => codes.length > 0);
      expect(codes).to.deep.equal([0]);
    });

    it('keep an exit code that the application has set', async () => {
      const shutdown = install([]);
      process.exitCode = 3;
      expect(await shutdown.shutdown()).to.equal(3);
    });

    it('set only `process.exitCode` if `exit` is false', async () => {
      const shutdown = install([], { exit: false });
      shutdown.onShutdown('database', () => Promise.reject(new Error('gone')));
      expect(await shutdown.shutdown()).to.equal(1);
      expect(process.exitCode).to.equal(1);
    });

    it('close the registry at the end', async () => {
      await install([]).shutdown();
      expect(probes.isClosed).to.equal(true);
    });

    it('leave the probes to another shutdown that still needs them', async () => {
      const { server, held, letGo } = await startHeld();
      const first = install([]);
      const second = install(server);
      const answer = ask(urlOf(server));
      await until(() => held.length === 1);
      const done = second.shutdown();
      await first.shutdown();
      expect([probes.isClosed, codes]).to.deep.equal([false, []]);
      letGo();
      await Promise.all([answer, done]);
      expect([probes.isClosed, codes]).to.deep.equal([true, [0]]);
    });

    it('leave the probes to another shutdown that still needs them, even after the deadline of the first', async () => {
      const { server, held, letGo } = await startHeld();
      const first = install([], { timeoutMs: 50 });
      first.onShutdown('hangs', () => new Promise(() => {}));
      const second = install(server);
      const answer = ask(urlOf(server));
      await until(() => held.length === 1);
      const done = second.shutdown();
      expect(await first.shutdown()).to.equal(1);
      expect([probes.isClosed, codes]).to.deep.equal([false, []]);
      letGo();
      await Promise.all([answer, done]);
      expect([probes.isClosed, codes]).to.deep.equal([true, [1]]);
    });

    it('continue if a listener of the event or the logger throws', async () => {
      probes = new ProbeRegistry({
        logger: {
          info: () => {
            throw new Error('no disk');
          },
          warn: () => {},
          error: () => {},
        },
      });
      probes.on('shutdown', () => {
        throw new Error('no listener');
      });
      expect(await install([]).shutdown()).to.equal(0);
    });
  });

  describe('listeners and timers', () => {
    const footprint = (server: NetServer) => ({
      process: process.eventNames().map((name) => [name, process.listenerCount(name as string)].map(String)),
      server: server.eventNames().map((name) => [name, server.listenerCount(name as string)].map(String)),
      channels: ['http.server.request.start', 'http.server.response.finish'].map((name) => channel(name).hasSubscribers),
    });

    it('are not added by creating a registry', () => {
      const server = createServer();
      const before = footprint(server);
      new ProbeRegistry({ logger: false }).close();
      expect(footprint(server)).to.deep.equal(before);
    });

    it('are removed by uninstall(), which may be called twice', async () => {
      const server = await listen(createServer((_request, response) => response.end('done')));
      const before = footprint(server);
      const shutdown = install(server, { uncaughtErrors: true });
      const socket = await dial(server);
      socket.write(GET());
      await once(socket, 'data');
      expect(footprint(server)).to.not.deep.equal(before);
      shutdown.uninstall();
      shutdown.uninstall();
      expect(footprint(server)).to.deep.equal(before);
      expect(() => shutdown.shutdown()).to.throw(ConfigurationError, 'shutdown() was called after uninstall()');
      server.close();
      server.closeAllConnections();
    });

    it('are removed after a shutdown', async () => {
      const server = await listen(createServer());
      const before = footprint(server);
      await install(server, { exit: false }).shutdown();
      expect(footprint(server)).to.deep.equal(before);
    });

    it('are removed even if one of two servers listens late and the other one never', async () => {
      const [never, late] = [createServer(), createServer()];
      const before = footprint(never);
      const shutdown = install([never, late], { exit: false });
      shutdown.onClosing('start', async () => {
        await listen(late);
        await until(() => !late.listening);
      });
      await shutdown.shutdown();
      expect(footprint(never)).to.deep.equal(before);
    });

    it('stay in place until a shutdown in progress ends, even after uninstall()', async () => {
      const { server, held, letGo } = await startHeld();
      const shutdown = install(server);
      const answer = ask(urlOf(server), { headers: { connection: 'keep-alive' } });
      await until(() => held.length === 1);
      const done = shutdown.shutdown();
      shutdown.uninstall();
      letGo();
      expect((await answer).headers.connection).to.equal('close');
      expect(await done).to.equal(0);
    });
  });

  describe('with wrong arguments', () => {
    const server = createServer();
    const wrong: [string, () => unknown, RegExp][] = [
      [
        'a Koa application',
        () => gracefulShutdown(new Koa() as never, probes),
        /`servers` .* got an object\. Pass the server that app\.listen\(\) returns/,
      ],
      [
        'an object that resembles a server',
        () => gracefulShutdown({ close: () => {}, on: () => {}, listening: true } as never, probes),
        /`servers` .* got an object/,
      ],
      ['no server', () => gracefulShutdown(undefined as never, probes), /`servers` .* got `undefined`/],
      ['no registry', () => gracefulShutdown(server, {} as never), /`probes` .*discoverProbes/],
      ['an unknown option', () => install(server, { drainDelay: 5 } as never), /Unknown option `drainDelay`/],
      ['a negative delay', () => install(server, { drainDelayMs: -1 }), /`drainDelayMs`/],
      ['a timeout of 0', () => install(server, { timeoutMs: 0 }), /`timeoutMs`/],
      [
        'a delay as long as the timeout',
        () => install(server, { drainDelayMs: 5_000, timeoutMs: 5_000 }),
        /`drainDelayMs` .* is 5000, but `timeoutMs` is 5000: the delay is part of the timeout/,
      ],
      ['a signal that cannot be caught', () => install(server, { signals: ['SIGKILL'] }), /`signals` .* got "SIGKILL"/],
      ['an unknown signal', () => install(server, { signals: ['TERM' as never] }), /`signals` .* got "TERM"/],
      ['signals that are not an array', () => install(server, { signals: 'SIGTERM' as never }), /`signals`/],
      [
        'a decision that is not a function',
        () => install(server, { onRepeatedSignal: 'exit' as never }),
        /`onRepeatedSignal` .* got "exit"/,
      ],
      ['a number as `exit`', () => install(server, { exit: 0 as never }), /`exit`/],
      [
        'a grace period that is not a number',
        () => install(server, { terminationGracePeriodSeconds: '30' as never }),
        /terminationGracePeriodSeconds/,
      ],
      ['a hook without a name', () => install([]).onShutdown('', () => {}), /arguments of onShutdown\(\) to be a name and a function/],
      [
        'a hook that is not a function',
        () => install([]).onClosing('ws', undefined as never),
        /arguments of onClosing\(\) to be a name and a function/,
      ],
    ];
    for (const [title, call, message] of wrong) {
      it(`rejects ${title}, and installs nothing`, () => {
        const before = process.listenerCount('SIGTERM');
        expect(call).to.throw(ConfigurationError, message);
        for (const shutdown of installed) shutdown.uninstall();
        expect(process.listenerCount('SIGTERM')).to.equal(before);
      });
    }
  });

  describe('the defaults', () => {
    const names = ['KUBERNETES_SERVICE_HOST', 'TERMINATION_GRACE_PERIOD_SECONDS', 'KOA_PROBES_WORKER'] as const;
    const kept = names.map((name) => process.env[name]);
    afterEach(() => {
      names.forEach((name, index) => {
        if (kept[index] === undefined) delete process.env[name];
        else process.env[name] = kept[index];
      });
    });

    function installIn(environment: Partial<Record<(typeof names)[number], string>>, options: ShutdownOptions = {}): string[] {
      for (const name of names) delete process.env[name];
      Object.assign(process.env, environment);
      installed.push(gracefulShutdown(createServer(), probes, options));
      return logger.lines;
    }

    const IN_KUBERNETES = { KUBERNETES_SERVICE_HOST: '10.0.0.1' };

    it('fit into the grace period of Kubernetes', () => {
      expect(installIn(IN_KUBERNETES)).to.deep.equal([]);
    });

    it('lead to a warning with the sum if a given time does not fit into the grace period', () => {
      const [line, ...more] = installIn({ ...IN_KUBERNETES, TERMINATION_GRACE_PERIOD_SECONDS: '20' }, { timeoutMs: 25_000 });
      expect(line).to.match(
        /^warn .*may take 25000 ms \(5000 of drainDelayMs and 20000 for requests and hooks\), but Kubernetes kills the container 20000 ms/,
      );
      expect(more).to.deep.equal([]);
    });

    it('fit into the grace period of the environment', () => {
      for (const seconds of ['20', '3', '1']) {
        expect(installIn({ ...IN_KUBERNETES, TERMINATION_GRACE_PERIOD_SECONDS: seconds }), seconds).to.deep.equal([]);
      }
    });

    it('leave a worker of a cluster less time than its primary', () => {
      installIn({ ...IN_KUBERNETES, KOA_PROBES_WORKER: '{}' });
      installIn({ ...IN_KUBERNETES, KOA_PROBES_WORKER: '{}', TERMINATION_GRACE_PERIOD_SECONDS: '12' });
      installIn({ ...IN_KUBERNETES, KOA_PROBES_WORKER: '{}' }, { timeoutMs: 25_000 });
      expect(probes.serving.shutdowns.map(({ here }) => here.timeoutMs)).to.deep.equal([23_000, 9_000, 25_000]);
    });

    it('fit into the grace period of the option', () => {
      expect(installIn(IN_KUBERNETES, { terminationGracePeriodSeconds: 3 })).to.deep.equal([]);
    });

    it('do not change a given delay, and lead to a warning if it does not fit', () => {
      const [line] = installIn({ ...IN_KUBERNETES, TERMINATION_GRACE_PERIOD_SECONDS: '5' }, { drainDelayMs: 6_000 });
      expect(line).to.include('may take 25000 ms (6000 of drainDelayMs and 19000 for');
    });

    it('lead to a warning for a grace period of 0', () => {
      expect(installIn({ ...IN_KUBERNETES, TERMINATION_GRACE_PERIOD_SECONDS: '0' })[0]).to.include(
        'Kubernetes kills the container 0 ms after',
      );
    });

    it('lead to no warning outside Kubernetes', () => {
      expect(installIn({}, { timeoutMs: 60_000 })).to.deep.equal([]);
    });

    it('prefer the option to the environment', () => {
      expect(
        installIn({ ...IN_KUBERNETES, TERMINATION_GRACE_PERIOD_SECONDS: '20' }, { terminationGracePeriodSeconds: 90, timeoutMs: 80_000 }),
      ).to.deep.equal([]);
    });

    it('lead to a warning if the environment variable is not a number', () => {
      expect(installIn({ TERMINATION_GRACE_PERIOD_SECONDS: '30s' })).to.deep.equal([
        'warn koa-probes: TERMINATION_GRACE_PERIOD_SECONDS is ignored: "30s" is not a number of seconds.',
      ]);
    });

    it('leave half of a short timeout to the requests', () => {
      expect(installIn(IN_KUBERNETES, { timeoutMs: 3_000, terminationGracePeriodSeconds: 3 })[0]).to.include(
        '1500 of drainDelayMs and 1500 for',
      );
    });
  });
});

describe('lifecycle.track(), holdShutdown() and shutdownSignal', () => {
  let probes: ProbeRegistry;
  beforeEach(() => (probes = new ProbeRegistry({ logger: false })));
  afterEach(() => {
    probes.close();
    process.exitCode = undefined;
  });

  it('returns the promise that is passed to track()', async () => {
    const work = Promise.resolve(1);
    expect(probes.lifecycle.track(work)).to.equal(work);
    expect(await work).to.equal(1);
  });

  it('leaves a rejection to the caller, and does not wait for it any longer', async () => {
    const work = probes.lifecycle.track(Promise.reject(new Error('own')), 'job');
    expect(await work.catch((error: Error) => error.message)).to.equal('own');
    expect(await gracefulShutdown([], probes, { exit: false }).shutdown()).to.equal(0);
  });

  it('does not change readiness', async () => {
    const release = probes.lifecycle.holdShutdown('job');
    expect((await probes.run('readiness')).status).to.equal('pass');
    release();
    release();
  });

  it('rejects wrong arguments', () => {
    expect(() => probes.lifecycle.track(1 as never)).to.throw(
      TypeError,
      'Expected `work` to be a promise, got `1` (number). For work without a promise, call `holdShutdown(name)`.',
    );
    expect(() => probes.lifecycle.holdShutdown('')).to.throw(TypeError, 'Expected `name` to be a non-empty string, got "".');
  });

  it('aborts the signal when draining begins, even if it is read later', () => {
    const early = new ProbeRegistry({ logger: false });
    const { shutdownSignal } = early.lifecycle;
    expect(shutdownSignal.aborted).to.equal(false);
    early.lifecycle.drain();
    expect([shutdownSignal.aborted, (shutdownSignal.reason as Error).name]).to.deep.equal([true, 'AbortError']);
    const late = new ProbeRegistry({ logger: false });
    late.lifecycle.drain();
    expect(late.lifecycle.shutdownSignal.aborted).to.equal(true);
    for (const registry of [early, late]) registry.close();
  });
});
