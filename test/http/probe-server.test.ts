import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { ConfigurationError, ProbeRegistry, probeServer, type ProbeServerOptions } from 'koa-probes';
import { ask, sendRaw, urlOf } from '../support/http.js';
import { run, start, until } from '../support/processes.js';
import { ControlledCheck } from '../support/probes.js';

const SOCKET_CHILD = `
  import { ProbeRegistry, probeServer } from 'koa-probes';
  process.umask(0);
  await probeServer(new ProbeRegistry({ logger: false }), { socket: process.argv[1] }).then(() => console.log('listens'), (error) => console.log(error.message));
`;

const startSocketChild = (socket: string) => {
  return start(process.execPath, ['--input-type=module', '--eval', SOCKET_CHILD, socket], {
    env: { ...process.env, NODE_EXTRA_CA_CERTS: undefined, NODE_V8_COVERAGE: undefined },
  });
};

describe('probeServer(probes, options)', () => {
  let probes: ProbeRegistry;
  beforeEach(() => (probes = new ProbeRegistry({ logger: false })));
  afterEach(() => probes.close());

  const portOf = (server: Server) => (server.address() as AddressInfo).port;

  it('answers probes on its own port, over IPv4 and IPv6', async () => {
    const port = portOf(await probeServer(probes, { port: 0 }));
    for (const host of ['127.0.0.1', '[::1]']) {
      expect(await ask(`http://${host}:${String(port)}/readyz?verbose`)).to.include({
        status: 200,
        body: '[+]lifecycle ok\nreadyz check passed\n',
      });
    }
  });

  it('listens only on the given host', async () => {
    const server = await probeServer(probes, { port: 0, host: '127.0.0.1' });
    expect((server.address() as AddressInfo).address).to.equal('127.0.0.1');
  });

  it('answers HEAD without a body, 405 to other methods and 404 to other paths', async () => {
    const url = urlOf(await probeServer(probes, { port: 0, paths: { readiness: '/ready' } }));
    expect(await ask(`${url}/ready`, { method: 'HEAD' })).to.include({ status: 200, body: '' });
    const refused = await ask(`${url}/ready`, { method: 'POST' });
    expect([refused.status, refused.headers.allow]).to.deep.equal([405, 'GET, HEAD']);
    expect(refused.headers).to.include({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
    expect(await ask(`${url}/readyz`)).to.include({ status: 404, body: 'not found\n' });
  });

  it('passes the request to `details`', async () => {
    probes.register({ name: 'search', kinds: ['readiness'], check: () => Promise.reject(new Error('down')) });
    const url = urlOf(await probeServer(probes, { port: 0, details: (request) => request.headers['x-token'] === 'operator' }));
    expect((await ask(`${url}/readyz`)).body).to.include('reason withheld');
    expect((await ask(`${url}/readyz`, { headers: { 'x-token': 'operator' } })).body).to.include('search failed: down');
  });

  it('is closed with the registry, even with an idle connection and a request in flight', async () => {
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

  it('rejects a registry that is closed, before or during the call', async () => {
    const starting = probeServer(probes, { port: 0 }).catch(String);
    probes.close();
    expect(await starting).to.include('for a registry that is closed');
    expect(await probeServer(probes, { port: 0 }).catch(String)).to.include('for a registry that is closed');
  });

  it('closes the connection after each response, even if the client wants to keep it', async () => {
    const url = urlOf(await probeServer(probes, { port: 0 }));
    const received = await sendRaw(url, 'GET /livez HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n');
    expect(received)
      .to.match(/Connection: close/)
      .and.to.match(/\r\n\r\nok$/);
  });

  it('closes the connection of a client that does not finish its request', async () => {
    const url = urlOf(await probeServer(probes, { port: 0 }));
    expect(await sendRaw(url, 'GET /livez HTTP/1.1\r\nHost:')).to.match(/^HTTP\/1\.1 408 /);
  });

  it('removes its listeners from the registry when it is closed itself', async () => {
    const server = await probeServer(probes, { port: 0 });
    expect(probes.listenerCount('close')).to.equal(1);
    server.close();
    await once(server, 'close');
    expect(probes.listenerCount('close')).to.equal(0);
  });

  it('lets a worker end with probes.close(), no matter what its probes still do', async () => {
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
    ['a host together with a socket', { socket: '/tmp/x', host: '::1' }, /`host` of probeServer\(\) to be an address beside a `port`/],
    ['an unknown option', { port: 0, address: '::' }, /Unknown option `address` of probeServer\(\)/],
    ['no options', undefined as never, /options of probeServer\(\) to be an object/],
  ];
  for (const [name, options, message] of wrong) {
    it(`rejects ${name}`, async () => {
      const problem: unknown = await probeServer(probes, options as ProbeServerOptions).catch((error: unknown) => error);
      expect(problem).to.satisfy(ConfigurationError.is);
      expect(String(problem)).to.match(message);
    });
  }

  it('says which port is not available', async () => {
    const port = portOf(await probeServer(probes, { port: 0 }));
    const problem: unknown = await probeServer(probes, { port }).catch((error: unknown) => error);
    expect(String(problem)).to.match(new RegExp(`cannot listen on port ${String(port)}: .*EADDRINUSE.*Free it, or choose another`));
  });

  it('says which address does not belong to this machine', async () => {
    const problem: unknown = await probeServer(probes, { port: 0, host: '192.0.2.1' }).catch((error: unknown) => error);
    expect(String(problem)).to.match(
      /cannot listen on port 0 of 192\.0\.2\.1: EADDRNOTAVAIL: 192\.0\.2\.1 is no address of this machine\./,
    );
  });
});

describe('probeServer(probes, { socket })', () => {
  let probes: ProbeRegistry;
  let folder: string;
  let socket: string;
  beforeEach(() => {
    probes = new ProbeRegistry({ logger: false });
    folder = mkdtempSync(join(tmpdir(), 'probe-server-'));
    socket = join(folder, 'probes.sock');
  });
  afterEach(() => {
    probes.close();
    rmSync(folder, { recursive: true });
  });

  const modeOf = (path: string) => statSync(path).mode & 0o777;
  const askSocket = () => ask('http://localhost/livez', { socketPath: socket });
  /** The file of a process that had no time to remove it. */
  const leaveStale = async () => {
    const dead = startSocketChild(socket);
    await until(() => dead.output() === 'listens\n');
    await dead.stop('SIGKILL');
    expect(statSync(socket).isSocket()).to.equal(true);
  };

  it('answers probes, and removes its file when it is closed', async () => {
    await probeServer(probes, { socket });
    expect(await askSocket()).to.include({ status: 200, body: 'ok' });
    probes.close();
    expect(readdirSync(folder)).to.deep.equal([]);
  });

  it('allows only its owner to connect for any umask of the process, and does not change the umask', async () => {
    const mask = process.umask(0o002);
    try {
      await probeServer(probes, { socket });
      expect(modeOf(socket).toString(8)).to.equal('600');
      expect(process.umask(mask)).to.equal(0o002);
    } finally {
      process.umask(mask);
    }
  });

  it('allows only its owner to connect in a worker thread too', async () => {
    const program = `
      import { Worker } from 'node:worker_threads';
      import { statSync } from 'node:fs';
      process.umask(0);
      const code = \`
        import { parentPort, workerData } from 'node:worker_threads';
        import { ProbeRegistry, probeServer } from 'koa-probes';
        await probeServer(new ProbeRegistry({ logger: false }), { socket: workerData });
        parentPort.postMessage('listens');
      \`;
      new Worker(code, { eval: true, workerData: process.argv[1] }).once('message', () => {
        console.log((statSync(process.argv[1]).mode & 0o777).toString(8));
        process.exit();
      });
    `;
    expect(await run(process.execPath, ['--input-type=module', '--eval', program, socket])).to.equal('600\n');
  });

  it('leaves no file if the process exits by itself', async () => {
    const program = `
      import { ProbeRegistry, probeServer } from 'koa-probes';
      await probeServer(new ProbeRegistry({ logger: false }), { socket: process.argv[1] });
      process.exit();
    `;
    await run(process.execPath, ['--input-type=module', '--eval', program, socket]);
    expect(readdirSync(folder)).to.deep.equal([]);
  });

  it('leaves no listener on the process when it is closed', async () => {
    const before = process.listenerCount('exit');
    const server = await probeServer(probes, { socket });
    server.close();
    await once(server, 'close');
    expect(process.listenerCount('exit')).to.equal(before);
  });

  it('replaces the file of a dead process', async () => {
    await leaveStale();
    await probeServer(probes, { socket });
    expect((await askSocket()).status).to.equal(200);
    expect(readdirSync(folder)).to.deep.equal(['probes.sock']);
  });

  it('does not replace the socket of a running process', async () => {
    await probeServer(probes, { socket });
    const problem: unknown = await probeServer(probes, { socket }).catch((error: unknown) => error);
    expect(problem).to.satisfy(ConfigurationError.is);
    expect(String(problem)).to.include(`Another process listens on the \`socket\` ${socket}. Give each process a path of its own.`);
    expect((await askSocket()).status).to.equal(200);
  });

  // Only root can become another user.
  if (process.getuid?.() === 0) {
    it('says that the file belongs to another user, so that nobody knows whether its process is running', async () => {
      await leaveStale();
      chmodSync(folder, 0o777);
      const source = `
        import { ProbeRegistry, probeServer } from 'koa-probes';
        process.setuid(65534);
        console.log(await probeServer(new ProbeRegistry({ logger: false }), { socket: process.argv[1] }).then(String, String));`;
      const output = await run(process.execPath, ['--input-type=module', '--eval', source, socket]);
      expect(output).to.include(
        `The \`socket\` ${socket} is another user's, and cannot be asked whether that process lives. Remove it, or`,
      );
      expect(readdirSync(folder)).to.deep.equal(['probes.sock']);
    });
  }

  it('does not replace a file of another type', async () => {
    writeFileSync(socket, 'precious');
    const problem: unknown = await probeServer(probes, { socket }).catch((error: unknown) => error);
    expect(problem).to.satisfy(ConfigurationError.is);
    expect(String(problem)).to.match(/is a file of another kind, which is not replaced/);
    expect(readFileSync(socket, 'utf8')).to.equal('precious');
  });

  it('goes to one of several processes that start at the same time on the file of a dead process', async () => {
    await leaveStale();
    const children = Array.from({ length: 4 }, () => startSocketChild(socket));
    await until(() => children.every((child) => child.output() !== ''));
    const said = children.map((child) => child.output()).toSorted();
    expect(said.filter((line) => line === 'listens\n')).to.have.lengthOf(1);
    expect(said.filter((line) => line.startsWith('Another process listens'))).to.have.lengthOf(3);
    expect((await askSocket()).status).to.equal(200);
    expect(readdirSync(folder)).to.deep.equal(['probes.sock']);
    await Promise.all(children.map((child) => child.stop('SIGKILL')));
  });

  it('accepts a path as long as the system allows, and says how long that is', async () => {
    const longest = process.platform === 'linux' ? 107 : 103;
    const pathOf = (bytes: number) => `${folder}/${'x'.repeat(bytes - folder.length - 1)}`;
    await probeServer(probes, { socket: pathOf(longest) });
    expect(existsSync(pathOf(longest))).to.equal(true);
    const problem: unknown = await probeServer(probes, { socket: pathOf(longest + 1) }).catch((error: unknown) => error);
    expect(problem).to.satisfy(ConfigurationError.is);
    expect(String(problem)).to.match(
      /has 108 bytes, and the system takes 107 at most: .*Choose a shorter one|has 104 bytes, and the system takes 103/,
    );
  });

  it('says why it cannot listen if the directory is missing', async () => {
    const directory = join(folder, 'missing');
    const problem: unknown = await probeServer(probes, { socket: join(directory, 'x.sock') }).catch((error: unknown) => error);
    expect(problem).to.satisfy(ConfigurationError.is);
    expect(String(problem)).to.include(`ENOENT: the directory ${directory} does not exist. Make it, or mount a volume there.`);
    expect(String(problem)).not.to.include('Free it');
  });

  it('says why it cannot listen if the directory is a file', async () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    const problem: unknown = await probeServer(probes, { socket: join(file, 'x.sock') }).catch((error: unknown) => error);
    expect(String(problem)).to.include(`ENOTDIR: ${file} is not a directory.`);
  });

  it('says which directory or port is not permitted', async () => {
    const directory = join(folder, 'closed');
    mkdirSync(directory, { mode: 0o500 });
    // Without the capabilities of root, in a network where ports below 1024 are not for everybody.
    const listen = (options: object) => {
      const program = `import { ProbeRegistry, probeServer } from 'koa-probes'; await probeServer(new ProbeRegistry(), ${JSON.stringify(options)}).catch(({ message }) => console.log(message));`;
      const limits = ['--net', 'setpriv', '--bounding-set=-all', '--inh-caps=-all'];
      return run('unshare', [...limits, process.execPath, '--input-type=module', '--eval', program], {
        env: { ...process.env, NODE_EXTRA_CA_CERTS: undefined, NODE_V8_COVERAGE: undefined },
      });
    };
    const path = join(directory, 'x.sock');
    expect(await listen({ socket: path })).to.equal(
      `probeServer() cannot listen on ${path}: EACCES: this process is not permitted to make a file in ${directory}. Let its user write there, or choose another directory.\n`,
    );
    expect(await listen({ port: 80 })).to.equal(
      'probeServer() cannot listen on port 80: EACCES: this process is not permitted to. Choose a port from 1024 on.\n',
    );
  });
});
