import { getEventListeners, once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Container } from 'inversify';
import { ConfigurationError, discoverProbes, type ProbeRegistry } from 'koa-probes';
import { checkTcp, TCP_TARGET, TcpProbe, type TcpTarget } from 'koa-probes/tcp';
import { stageFault } from '../../support/faults.js';
import { startHttpServer } from '../../support/listeners.js';
import { freePort, until } from '../../support/processes.js';
import type { Service } from '../../support/services.js';

const host = '127.0.0.1';
const context = () => ({ signal: AbortSignal.timeout(10_000) });
const problemOf = (promise: Promise<unknown>): Promise<string> => promise.then(() => 'it passed', String);

describe('koa-probes/tcp', () => {
  const registries: ProbeRegistry[] = [];
  const servers: Server[] = [];
  const sockets: Socket[] = [];
  afterEach(() => {
    for (const registry of registries.splice(0)) registry.close();
    for (const socket of sockets.splice(0)) socket.destroy();
    for (const server of servers.splice(0)) server.close();
  });

  const discover = async (...bound: TcpTarget[]) => {
    const container = new Container();
    for (const target of bound) container.bind(TCP_TARGET).toConstantValue(target);
    const registry = await discoverProbes(container, { classes: [TcpProbe], logger: false });
    registries.push(registry);
    return registry;
  };
  const listen = async (onSocket: (socket: Socket) => void, address: object = { host, port: 0 }) => {
    const server = createServer((socket) => {
      sockets.push(socket);
      onSocket(socket);
    }).listen(address);
    servers.push(server);
    await once(server, 'listening');
    return server;
  };
  const portOf = (server: Server) => (server.address() as AddressInfo).port;

  describe('TcpProbe', () => {
    let service: Service;
    before(async () => (service = await startHttpServer(1)));
    after(() => service.stop());

    it('fails while nothing is listening', async () => {
      await stageFault({
        registry: await discover({ host, port: service.port }),
        probe: 'tcp',
        fault: 'the server is stopped',
        begin: () => service.halt(),
        end: () => service.start(),
        reason: new RegExp(`^tcp 127\\.0\\.0\\.1:${String(service.port)}: connection refused: connect ECONNREFUSED`),
      });
    });

    it('fails while the accept queue of a frozen server is full', async () => {
      const registry = await discover({ host, port: service.port });
      await stageFault({
        registry,
        probe: 'tcp',
        fault: 'the server is frozen, and its accept queue is full',
        // The kernel takes up the first ones in its stead, and leaves all further ones without an answer.
        begin: () => service.freeze(),
        end: () => service.thaw(),
        waitsFor: 'the server to accept the waiting connections',
        reason: /^timed out after 800 ms: tcp 127\.0\.0\.1:\d+: no connection for \d+ ms$/,
      });
    });

    it('passes for a frozen server whose kernel still accepts connections, because it only checks that something is listening', async () => {
      const frozen = await startHttpServer();
      frozen.freeze();
      try {
        await checkTcp({ host, port: frozen.port }, context());
      } finally {
        await frozen.stop();
      }
    });

    it('names the failed target among several', async () => {
      const server = await listen(() => {});
      const closed = await freePort();
      const registry = await discover({ host, port: portOf(server) }, { host, port: closed });
      const [result] = (await registry.run('readiness', { only: 'tcp' })).results;
      expect(String(result?.error)).to.include(`tcp 127.0.0.1:${String(closed)}: connection refused`);
    });

    it('fails the start if nothing is bound to TCP_TARGET, and says what to bind', async () => {
      expect(await problemOf(discover())).to.match(
        /could not create TcpProbe\. .*nothing is bound to TCP_TARGET\. Bind a target, `container\.bind\(TCP_TARGET\)/,
      );
    });
  });

  describe('checkTcp(target, context)', () => {
    it('closes the connection without a reset, and leaves no socket and no listener behind', async () => {
      const ended: Promise<unknown>[] = [];
      const server = await listen((socket) => {
        socket.write('220 mail ready\r\n');
        ended.push(once(socket.resume(), 'end').then(() => once(socket, 'close')));
      });
      const { signal } = new AbortController();
      const countSockets = () => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
      const before = countSockets();
      for (let round = 0; round < 20; round += 1) await checkTcp({ host, port: portOf(server) }, { signal });
      await until(() => ended.length === 20);
      expect((await Promise.all(ended)).flat()).to.deep.equal(Array.from({ length: 20 }, () => false));
      expect(getEventListeners(signal, 'abort')).to.deep.equal([]);
      await until(() => countSockets() <= before);
    });

    it('does not wait for a peer that never closes its side', async () => {
      const server = createServer({ allowHalfOpen: true }, (socket) => sockets.push(socket)).listen(0, host);
      servers.push(server);
      await once(server, 'listening');
      await checkTcp({ host, port: portOf(server) }, context());
    });

    it('connects to a UNIX socket', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'koa-probes-tcp-'));
      const path = join(folder, 'server.sock');
      try {
        expect(await problemOf(checkTcp({ path }, context()))).to.include(`tcp ${path}: the socket does not exist: connect ENOENT`);
        await listen(() => {}, { path });
        await checkTcp({ path }, context());
      } finally {
        rmSync(folder, { recursive: true });
      }
    });

    it('reports a host name that is not found', async () => {
      expect(await problemOf(checkTcp({ host: 'nobody.invalid', port: 1 }, context()))).to.match(
        /tcp nobody\.invalid:1: host name not found/,
      );
    });

    it('puts IPv6 addresses in brackets', async () => {
      expect(await problemOf(checkTcp({ host: '::1', port: await freePort() }, context()))).to.match(/tcp \[::1\]:\d+: /);
    });

    it('rejects with the reason of the signal, or with what it was waiting for, and closes the socket', async () => {
      const reason = new Error('enough');
      const server = await listen(() => {});
      const target = { host, port: portOf(server) };
      expect(await problemOf(checkTcp(target, { signal: AbortSignal.abort(reason) }))).to.equal('Error: enough');
      const controller = new AbortController();
      const checking = checkTcp(target, controller).catch((error: unknown) => error);
      controller.abort(reason);
      const problem = await checking;
      expect(String(problem)).to.match(/^Error: tcp 127\.0\.0\.1:\d+: no connection for \d+ ms$/);
      expect((problem as Error).cause).to.equal(reason);
      expect(getEventListeners(controller.signal, 'abort')).to.deep.equal([]);
    });

    const rejected: [object, RegExp][] = [
      [{}, /`host` of a TCP target to be a name or an address, got `undefined`/],
      [{ host: '', port: 1 }, /`host` of a TCP target/],
      [{ host }, /`port` of a TCP target to be a whole number from 1 to 65535, got `undefined`/],
      [{ host, port: 0 }, /`port` of a TCP target/],
      [{ host, port: '80' }, /`port` of a TCP target .* got "80"/],
      [{ path: '' }, /`path` of a TCP target to be the path of a UNIX socket/],
      [{ path: '/a', port: 1 }, /`path` of a TCP target .* without `host` and `port`/],
      [{ host, port: 1, tls: true }, /Unknown option `tls` of a TCP target/],
    ];
    for (const [target, message] of rejected) {
      it(`rejects ${JSON.stringify(target)}, and fails the start`, async () => {
        const problem: unknown = await checkTcp(target as TcpTarget, context()).catch((error: unknown) => error);
        expect(problem).to.satisfy(ConfigurationError.is);
        expect(String(problem)).to.match(message);
        expect(await problemOf(discover(target as TcpTarget))).to.match(message);
      });
    }
  });
});
