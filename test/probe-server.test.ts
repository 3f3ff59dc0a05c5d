import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { ConfigurationError, ProbeRegistry, probeServer, type ProbeServerOptions } from 'koa-probes';
import { ask, sendRaw, urlOf } from './support/http.js';
import { run } from './support/processes.js';
import { ControlledCheck } from './support/probes.js';

describe('probeServer(probes, options)', () => {
  let probes: ProbeRegistry;
  beforeEach(() => (probes = new ProbeRegistry({ logger: false })));
  afterEach(() => probes.close());

  const portOf = (server: Server) => (server.address() as AddressInfo).port;

  it('answers probes on its own port, by IPv4 and by IPv6', async () => {
    const port = portOf(await probeServer(probes, { port: 0 }));
    for (const host of ['127.0.0.1', '[::1]']) {
      expect(await ask(`http://${host}:${String(port)}/readyz?verbose`)).to.include({
        status: 200,
        body: '[+]lifecycle ok\nreadyz check passed\n',
      });
    }
  });

  it('listens on the host that it is given alone', async () => {
    const server = await probeServer(probes, { port: 0, host: '127.0.0.1' });
    expect((server.address() as AddressInfo).address).to.equal('127.0.0.1');
  });

  it('answers probes on a UNIX socket', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'probe-server-'));
    try {
      const socket = join(folder, 'probes.sock');
      await probeServer(probes, { socket });
      expect(await ask('http://localhost/livez', { socketPath: socket })).to.include({ status: 200, body: 'ok' });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('answers HEAD without a body, 405 to other methods and 404 to other paths', async () => {
    const url = urlOf(await probeServer(probes, { port: 0, paths: { readiness: '/ready' } }));
    expect(await ask(`${url}/ready`, { method: 'HEAD' })).to.include({ status: 200, body: '' });
    const refused = await ask(`${url}/ready`, { method: 'POST' });
    expect([refused.status, refused.headers.allow]).to.deep.equal([405, 'GET, HEAD']);
    expect(refused.headers).to.include({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
    expect(await ask(`${url}/readyz`)).to.include({ status: 404, body: 'not found\n' });
  });

  it('gives the request to `details`', async () => {
    probes.register({ name: 'search', kinds: ['readiness'], check: () => Promise.reject(new Error('down')) });
    const url = urlOf(await probeServer(probes, { port: 0, details: (request) => request.headers['x-token'] === 'operator' }));
    expect((await ask(`${url}/readyz`)).body).to.include('reason withheld');
    expect((await ask(`${url}/readyz`, { headers: { 'x-token': 'operator' } })).body).to.include('search failed: down');
  });

  it('is closed with the registry, a silent connection and an answer under way too', async () => {
    const slow = new ControlledCheck();
    probes.register({ name: 'slow', kinds: ['readiness'], timeoutMs: 60_000, check: slow.check });
    const server = await probeServer(probes, { port: 0 });
    const silent = connect(portOf(server), '127.0.0.1');
    await once(silent, 'connect');
    const answer = ask(`${urlOf(server)}/readyz`);
    await once(server, 'request');
    const closed = once(server, 'close');
    probes.close();
    expect((await answer).status).to.equal(503);
    silent.on('error', () => {}).resume();
    await closed;
  });

  it('refuses a registry that is closed, also where it is closed meanwhile', async () => {
    const starting = probeServer(probes, { port: 0 }).catch(String);
    probes.close();
    expect(await starting).to.include('for a registry that is closed');
    expect(await probeServer(probes, { port: 0 }).catch(String)).to.include('for a registry that is closed');
  });

  it('hangs up after each answer, also where the client would keep the connection', async () => {
    const url = urlOf(await probeServer(probes, { port: 0 }));
    const received = await sendRaw(url, 'GET /livez HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n');
    expect(received)
      .to.match(/Connection: close/)
      .and.to.match(/\r\n\r\nok$/);
  });

  it('hangs up on a client that does not finish its request', async () => {
    const url = urlOf(await probeServer(probes, { port: 0 }));
    expect(await sendRaw(url, 'GET /livez HTTP/1.1\r\nHost:')).to.match(/^HTTP\/1\.1 408 /);
  });

  it('forgets the registry when it is closed by itself', async () => {
    const server = await probeServer(probes, { port: 0 });
    expect(probes.listenerCount('close')).to.equal(1);
    server.close();
    await once(server, 'close');
    expect(probes.listenerCount('close')).to.equal(0);
  });

  it('lets a worker end with probes.close(), whatever its probes still do', async () => {
    const program = `
      import { ProbeRegistry, probeServer } from 'koa-probes';
      const probes = new ProbeRegistry({ logger: false });
      probes.register({ name: 'hanging', kinds: ['readiness'], timeoutMs: 3_600_000, check: () => new Promise(() => {}) });
      await probeServer(probes, { port: 0 });
      void probes.run('readiness').then(({ status }) => console.log(status));
      probes.close();
    `;
    expect(await run(process.execPath, ['--input-type=module', '--eval', program])).to.equal('fail\n');
  });

  const wrong: [string, object, RegExp][] = [
    ['neither port nor socket', {}, /needs one of `port` and `socket`/],
    ['both port and socket', { port: 0, socket: '/tmp/x' }, /needs one of `port` and `socket`/],
    ['a port beyond 65535', { port: 65_536 }, /`port` of probeServer\(\) to be a whole number from 0 to 65535, got `65536`/],
    ['a port in words', { port: '9090' }, /`port`.*got "9090"/],
    ['an empty socket', { socket: '' }, /`socket` of probeServer\(\) to be a path/],
    ['a host beside a socket', { socket: '/tmp/x', host: '::1' }, /`host` of probeServer\(\) to be an address beside a `port`/],
    ['an unknown option', { port: 0, address: '::' }, /Unknown option `address` of probeServer\(\)/],
    ['no options', undefined as never, /options of probeServer\(\) to be an object/],
  ];
  for (const [name, options, message] of wrong) {
    it(`refuses ${name}`, async () => {
      const problem: unknown = await probeServer(probes, options as ProbeServerOptions).catch((error: unknown) => error);
      expect(problem).to.satisfy(ConfigurationError.is);
      expect(String(problem)).to.match(message);
    });
  }

  it('says which port it cannot have', async () => {
    const port = portOf(await probeServer(probes, { port: 0 }));
    const problem: unknown = await probeServer(probes, { port }).catch((error: unknown) => error);
    expect(String(problem)).to.match(new RegExp(`cannot listen on port ${String(port)}: .*EADDRINUSE.*Free it, or choose another`));
  });
});
