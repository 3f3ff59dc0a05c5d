import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import type { Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { expect } from 'chai';
import {
  ConfigurationError,
  NotReady,
  probeHeartbeat,
  ProbeRegistry,
  probeServer,
  type ProbeServerOptions,
  type ThreadedProbeServer,
} from 'koa-probes';
import { ask, sendRaw } from '../support/http.js';
import { until } from '../support/processes.js';
import { ControlledCheck, MemoryLogger } from '../support/probes.js';

const portOf = (server: Server | ThreadedProbeServer) => (server.address() as AddressInfo).port;
const urlOf = (server: Server | ThreadedProbeServer) => `http://127.0.0.1:${String(portOf(server))}`;

describe('probeServer(probes, { thread: true }) in a process that turns', () => {
  let logger: MemoryLogger;
  let probes: ProbeRegistry;
  /** The threads that were started. */
  let workers: Worker[];
  const keepWorker = (worker: Worker) => workers.push(worker);

  beforeEach(() => {
    workers = [];
    process.on('worker', keepWorker);
    logger = new MemoryLogger();
    probes = new ProbeRegistry({ logger });
  });

  afterEach(async () => {
    process.off('worker', keepWorker);
    probes.close();
    await until(() => workers.every(({ threadId }) => threadId === -1));
  });

  const start = (options: Partial<ProbeServerOptions> = {}) =>
    probeServer(probes, { port: 0, host: '127.0.0.1', ...options, thread: true });

  describe('answers with the same bytes as without a thread', () => {
    const registerAll = () => {
      // A result that is kept has the same times in both answers.
      const kept = { cacheMs: 3_600_000 };
      probes.register({ ...kept, name: 'search', kinds: ['readiness', 'liveness'], check: () => ({ shards: 3 }) });
      probes.register({ ...kept, name: 'mail', kinds: ['readiness'], critical: false, check: () => Promise.reject(new Error('secret')) });
      probes.register({
        ...kept,
        name: 'queue',
        kinds: ['startup'],
        check() {
          throw new NotReady('too long', { status: 429 });
        },
      });
    };

    const options: Record<string, Partial<ProbeServerOptions>> = {
      'no options': {},
      'details: all, and info': { details: 'all', info: { version: '7', serviceId: 'shop' } },
      'details as a function': {
        details: ({ headers, url, method, socket }) =>
          headers['x-token'] === 'a' && url !== '' && method !== '' && socket.remoteAddress === '127.0.0.1',
      },
      'format: json': { format: 'json' },
      'format: text': { format: 'text' },
      retryAfterSeconds: { retryAfterSeconds: 5 },
      render: {
        render: ({ kind, status }, request) => ({ body: JSON.stringify([kind, status, request.url]), contentType: 'application/json' }),
      },
      'render that fails': {
        render() {
          throw new Error('broken');
        },
      },
      'paths of its own': { paths: { readiness: ['/readyz', '/internal/ready'], liveness: '/livez' } },
    };
    const requests = ['GET', 'HEAD', 'POST'].flatMap((method) =>
      [
        '/livez',
        '/healthz',
        '/readyz',
        '/readyz?verbose',
        '/readyz/',
        '/readyz/mail?verbose',
        '/readyz/none',
        '/startupz',
        '/internal/ready',
      ]
        .concat('/readyz?exclude=mail&verbose', '/readyz?exclude=none&verbose', '/readyz?exclude=lifecycle', '/', 'http://other/readyz')
        .flatMap((path) =>
          ['*/*', 'application/json', 'application/health+json;q=0.9, text/plain;q=0.1'].map((accept) => ({ method, path, accept })),
        ),
    );

    for (const [title, given] of Object.entries(options)) {
      it(title, async () => {
        registerAll();
        const plain = await probeServer(probes, { port: 0, host: '127.0.0.1', ...given });
        const threaded = await start(given);
        for (const { method, path, accept } of requests) {
          const bytes = `${method} ${path} HTTP/1.1\r\nHost: shop\r\nAccept: ${accept}\r\nX-Token: a\r\n\r\n`;
          const read = async (server: Server | ThreadedProbeServer) => withoutTimes(await sendRaw(urlOf(server), bytes));
          const expected = await read(plain);
          // On a busy machine this loop may be taken for a blocked one, and the answer be the last report.
          let answer = '';
          await until(async () => (answer = await read(threaded)) === expected, 1_000).catch(() => {});
          expect(answer, `${method} ${path} ${accept}`).to.equal(expected);
        }
      });
    }
  });

  it('gives `details` and `render` the request as it was received', async () => {
    const seen: unknown[] = [];
    const server = await start({
      details(request) {
        const { method, url, headers, headersDistinct, rawHeaders, httpVersion, complete, socket } = request;
        seen.push({ method, url, headers, headersDistinct, rawHeaders, httpVersion, complete, remoteAddress: socket.remoteAddress });
        request.resume();
        return true;
      },
    });
    await until(async () => {
      await sendRaw(urlOf(server), 'GET /readyz?verbose HTTP/1.1\r\nHost: shop\r\nX-A: 1\r\nX-A: 2\r\n\r\n');
      return seen.length > 0;
    });
    expect(seen[0]).to.deep.equal({
      method: 'GET',
      url: '/readyz?verbose',
      headers: { host: 'shop', 'x-a': '1, 2' },
      headersDistinct: { host: ['shop'], 'x-a': ['1', '2'] },
      rawHeaders: ['Host', 'shop', 'X-A', '1', 'X-A', '2'],
      httpVersion: '1.1',
      complete: true,
      remoteAddress: '127.0.0.1',
    });
  });

  it('counts each answer once, and says once that a prober hung up', async () => {
    const answers: unknown[] = [];
    const keep = (message: unknown) => answers.push(message);
    subscribe('koa-probes:answer', keep);
    try {
      const slow = new ControlledCheck();
      probes.register({ name: 'slow', kinds: ['readiness'], timeoutMs: 60_000, check: slow.check });
      const server = await start();
      expect((await ask(`${urlOf(server)}/livez`)).status).to.equal(200);
      expect((await ask(`${urlOf(server)}/readyz/none`)).status).to.equal(404);
      await until(() => answers.length === 2);
      expect(answers).to.deep.equal([
        { registry: probes, kind: 'liveness', probe: undefined, code: 200 },
        { registry: probes, kind: 'readiness', probe: 'none', code: 404 },
      ]);
      const client = connect(portOf(server), '127.0.0.1');
      client.write('GET /readyz HTTP/1.1\r\nHost: shop\r\n\r\n');
      await until(() => slow.runs === 1);
      client.destroy();
      await once(client, 'close');
      // Behind the end of the connection.
      expect((await ask(`${urlOf(server)}/livez`)).status).to.equal(200);
      slow.resolve();
      await until(() => logger.lines.some((line) => line.includes('a readiness prober hung up before its answer was there')));
    } finally {
      unsubscribe('koa-probes:answer', keep);
    }
  });

  it('is one thread for all servers and the heartbeat of a registry, and ends with the last of them', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'thread-'));
    try {
      const [one, other] = [await start(), await start()];
      const heartbeat = probeHeartbeat(probes, { directory, thread: true });
      expect(workers).to.have.lengthOf(1);
      await one.close();
      heartbeat.stop();
      expect(await ask(`${urlOf(other)}/livez`)).to.include({ status: 200 });
      await Promise.all([other.close(), other.close()]);
      await until(() => workers[0]?.threadId === -1);
      await other.close();
      const again = await start();
      expect((await ask(`${urlOf(again)}/livez`)).status).to.equal(200);
      expect(workers).to.have.lengthOf(2);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('leaves no listener when it is closed, by itself and with the registry', async () => {
    const countListeners = () => [
      ...['exit', 'worker'].map((name) => process.listenerCount(name)),
      ...(['close', 'change', 'shutdown'] as const).map((name) => probes.listenerCount(name)),
    ];
    const before = countListeners();
    await (await start()).close();
    expect(countListeners()).to.deep.equal(before);
    const server = await start();
    probes.close();
    await server.close();
    expect(countListeners()).to.deep.equal(before);
    expect(await ask(`${urlOf(server)}/livez`).catch(({ code }: { code: string }) => code)).to.equal('ECONNREFUSED');
  });

  it('sends an answer that is under way when the registry is closed, and closes a silent connection', async () => {
    const slow = new ControlledCheck();
    probes.register({ name: 'slow', kinds: ['readiness'], timeoutMs: 60_000, check: slow.check });
    const server = await start();
    const silent = connect(portOf(server), '127.0.0.1');
    await once(silent, 'connect');
    const answer = ask(`${urlOf(server)}/readyz`);
    await until(() => slow.runs === 1);
    const closed = once(silent.resume(), 'close');
    probes.close();
    expect((await answer).status).to.equal(503);
    await closed;
  });

  it('refuses a registry that is closed, also one that is closed meanwhile', async () => {
    const starting = start().catch(String);
    probes.close();
    expect(await starting).to.include('for a registry that is closed');
    expect(await start().catch(String)).to.include('for a registry that is closed');
  });

  describe('when its thread dies', () => {
    const complaints = () => logger.lines.filter((line) => line.includes('the thread that answers the probes ended'));

    it('starts it again on the same port, with all that it knows, and says so once', async () => {
      probes.register({ name: 'search', kinds: ['readiness'], check: () => ({ shards: 3 }) });
      const server = await start();
      const url = urlOf(server);
      await ask(`${url}/readyz`);
      for (const deaths of [1, 2, 3]) {
        await workers.at(-1)?.terminate();
        await until(async () => (await ask(`${url}/readyz?verbose`)).status === 200);
        expect(workers).to.have.lengthOf(deaths + 1);
        expect(urlOf(server)).to.equal(url);
      }
      expect((await ask(`${url}/readyz?verbose`)).body).to.equal('[+]lifecycle ok\n[+]search ok\nreadyz check passed\n');
      // Twice, and then ever more rarely.
      expect(complaints()).to.deep.equal([
        'error koa-probes: the thread that answers the probes ended: it exited. It is started again in 100 ms',
        'error koa-probes: the thread that answers the probes ended: it exited. It is started again in 200 ms',
      ]);
    });

    it('can be closed before it is started again', async () => {
      const server = await start();
      await workers[0]?.terminate();
      await until(() => complaints().length === 1);
      await server.close();
      expect(workers).to.have.lengthOf(1);
    });

    it('tries again until its port is free', async () => {
      const server = await start();
      await workers[0]?.terminate();
      const thief = await probeServer(new ProbeRegistry({ logger: false }), { port: portOf(server), host: '127.0.0.1' });
      await until(() => complaints().some((line) => line.includes('EADDRINUSE')));
      thief.close();
      await until(async () => (await ask(`${urlOf(server)}/livez`)).headers['content-length'] === '2');
    });
  });

  describe('on a UNIX socket', () => {
    let folder: string;
    let socket: string;
    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), 'thread-'));
      socket = join(folder, 'probes.sock');
    });
    afterEach(() => rmSync(folder, { recursive: true }));

    const startOnSocket = () => probeServer(probes, { socket, thread: true });
    const askSocket = () => ask('http://localhost/livez', { socketPath: socket });

    it('answers its owner alone, and removes its file when it is closed', async () => {
      const server = await startOnSocket();
      expect(server.address()).to.equal(socket);
      expect((statSync(socket).mode & 0o777).toString(8)).to.equal('600');
      expect((await askSocket()).status).to.equal(200);
      await server.close();
      expect(readdirSync(folder)).to.deep.equal([]);
    });

    it('has it again after the death of its thread', async () => {
      const server = await startOnSocket();
      await workers[0]?.terminate();
      await until(async () => (await askSocket()).status === 200);
      await server.close();
      expect(existsSync(socket)).to.equal(false);
    });

    it('leaves the socket of a living process alone', async () => {
      await startOnSocket();
      const problem: unknown = await probeServer(new ProbeRegistry({ logger: false }), { socket, thread: true }).catch(
        (error: unknown) => error,
      );
      expect(problem).to.satisfy(ConfigurationError.is);
      expect(String(problem)).to.include(`Another process listens on the \`socket\` ${socket}.`);
      expect((await askSocket()).status).to.equal(200);
    });
  });

  it('says which port it cannot have, and ends its thread', async () => {
    const taken = await probeServer(probes, { port: 0, host: '127.0.0.1' });
    const problem: unknown = await start({ port: portOf(taken) }).catch((error: unknown) => error);
    expect(problem).to.satisfy(ConfigurationError.is);
    expect(String(problem)).to.match(/probeServer\(\) cannot listen on port \d+ of 127\.0\.0\.1: .*EADDRINUSE.*Free it, or choose another/);
    await until(() => workers[0]?.threadId === -1);
  });

  const wrong: [string, object, RegExp][] = [
    [
      'a thread that is no boolean',
      { thread: 1 },
      /`thread` of probeServer\(\) to be one of `true` \(boolean\), `false` \(boolean\), got `1`/,
    ],
    ['a limit without a thread', { notReadyAfterMs: 500 }, /`notReadyAfterMs` of probeServer\(\) needs a thread .*Add `thread: true`/],
    ['a limit beside thread: false', { thread: false, deadAfterMs: 500 }, /`deadAfterMs` of probeServer\(\) needs a thread/],
    [
      'a limit of 0',
      { thread: true, notReadyAfterMs: 0 },
      /`notReadyAfterMs` of probeServer\(\) to be a number of milliseconds from 1 to 3600000, got `0`/,
    ],
    [
      'a limit that any pause exceeds',
      { thread: true, notReadyAfterMs: 50 },
      /`notReadyAfterMs` of probeServer\(\) to be 100 ms or more, got `50`/,
    ],
    ['a limit that never ends', { thread: true, deadAfterMs: Infinity }, /`deadAfterMs` of probeServer\(\) to be a number of milliseconds/],
    [
      'death before unreadiness',
      { thread: true, notReadyAfterMs: 5_000, deadAfterMs: 5_000 },
      /`deadAfterMs` of probeServer\(\), 5000, is not longer than `notReadyAfterMs`, 5000: .*Lengthen the one or shorten the other/,
    ],
    ['an unknown option', { thread: true, deadAfter: 5 }, /Unknown option `deadAfter` of probeServer\(\)/],
    ['another option that is out of its range', { thread: true, details: 'some' }, /`details` of probeServer\(\)/],
  ];
  for (const [name, options, message] of wrong) {
    it(`refuses ${name}`, async () => {
      const problem: unknown = await probeServer(probes, { port: 0, ...options }).catch((error: unknown) => error);
      expect(problem).to.satisfy(ConfigurationError.is);
      expect(String(problem)).to.match(message);
      expect(workers).to.deep.equal([]);
    });
  }
});

/** Of the check that is never kept, and of the answer itself. */
function withoutTimes(answer: string): string {
  return answer
    .replace(/^Date: .*\r\n/m, '')
    .replace(/("lifecycle":\[\{"status":"\w+",)"observedValue":[\d.]+(,"observedUnit":"ms",)"time":"[^"]+"/, '$1$2')
    .replace(/^Content-Length: \d+/m, (line) => (answer.includes('"lifecycle"') ? '' : line));
}
