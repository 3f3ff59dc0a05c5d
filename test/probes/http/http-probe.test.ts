import { getEventListeners, once } from 'node:events';
import { Agent, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { expect } from 'chai';
import { Container } from 'inversify';
import { ConfigurationError, discoverProbes, type ProbeRegistry } from 'koa-probes';
import { checkHttp, HTTP_TARGET, HttpProbe, type HttpTarget } from 'koa-probes/http';
import { Authority, type Certificate } from '../../support/certificates.js';
import { stageFault } from '../../support/faults.js';
import { closeServers, serve } from '../../support/http.js';
import { startHttpServer } from '../../support/listeners.js';
import { freePort, until } from '../../support/processes.js';
import type { Service } from '../../support/services.js';
import { SilentProxy } from '../../support/silent-proxy.js';

const context = () => ({ signal: AbortSignal.timeout(10_000) });
const problemOf = (promise: Promise<unknown>): Promise<string> => promise.then(() => 'it passed', String);
const redirectTo =
  (location: string, status = 302) =>
  (_: IncomingMessage, response: ServerResponse) => {
    response.writeHead(status, { location }).end();
  };

/** Writes the beginning at once and then the rest, again and again, until the other side hangs up. */
function trickle(socket: Socket, beginning: string, rest: string): void {
  socket.write(beginning);
  const timer = setInterval(() => socket.write(rest), 10);
  socket.once('close', () => clearInterval(timer));
}

describe('koa-probes/http', () => {
  const registries: ProbeRegistry[] = [];
  const servers: Server[] = [];
  afterEach(() => {
    for (const registry of registries.splice(0)) registry.close();
    for (const server of servers.splice(0)) server.close();
    closeServers();
  });

  const discover = async (...bound: HttpTarget[]) => {
    const container = new Container();
    for (const target of bound) container.bind(HTTP_TARGET).toConstantValue(target);
    const registry = await discoverProbes(container, { classes: [HttpProbe], logger: false });
    registries.push(registry);
    return registry;
  };
  const failureOf = async (registry: ProbeRegistry) => (await registry.run('readiness', { only: 'http' })).results[0]?.failure?.detail;
  const portOf = (server: Server) => String((server.address() as AddressInfo).port);
  /** A server that speaks no HTTP of its own. */
  const serveRaw = async (onSocket: (socket: Socket) => void) => {
    const server = createTcpServer((socket) => {
      socket.on('error', () => {});
      onSocket(socket);
    }).listen(0, '127.0.0.1');
    servers.push(server);
    await once(server, 'listening');
    return `http://127.0.0.1:${portOf(server)}`;
  };

  describe('HttpProbe', () => {
    let service: Service;
    before(async () => (service = await startHttpServer()));
    after(() => service.stop());
    const url = () => `http://127.0.0.1:${String(service.port)}/health`;

    it('fails while the service is stopped', async () => {
      await stageFault({
        registry: await discover({ url: url() }),
        probe: 'http',
        fault: 'the service is stopped',
        begin: () => service.halt(),
        end: () => service.start(),
        reason: new RegExp(`^GET ${url()}: connection refused: connect ECONNREFUSED`),
      });
    });

    it('fails while the service is frozen', async () => {
      await stageFault({
        registry: await discover({ url: url() }),
        probe: 'http',
        fault: 'the service is frozen',
        begin: () => service.freeze(),
        end: () => service.thaw(),
        reason: new RegExp(`^timed out after 800 ms: GET ${url()}: no answer for \\d+ ms$`),
      });
    });

    const faults: [string, RequestListener, RegExp][] = [
      ['answers 503', (_, response) => response.writeHead(503).end(), /^GET \S+ answered 503, expected 200 to 299$/],
      [
        'redirects to another host',
        redirectTo('http://other.invalid/login?token=1'),
        /answered 302.*to another host, http:\/\/other\.invalid, /,
      ],
      ['closes the connection before it answers', ({ socket }) => socket.destroy(), /the server closed the connection before it answered/],
      [
        'closes the connection in the middle of its response',
        (_, response) => response.writeHead(200, { 'content-length': 10 }).write('half', () => response.destroy()),
        /the server closed the connection in the middle of its response/,
      ],
      [
        'sends endless headers, line by line',
        ({ socket }) => trickle(socket, 'HTTP/1.1 200 OK\r\n', 'x: y\r\n'),
        /^timed out after 800 ms: GET \S+: no answer for \d+ ms$/,
      ],
      [
        'sends an endless body, byte by byte',
        ({ socket }) => trickle(socket, 'HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n', '.'),
        /^timed out after 800 ms: GET \S+: the response has not ended for \d+ ms$/,
      ],
      [
        'sends headers but no body',
        (_, response) => response.writeHead(200, { 'content-length': 10 }).flushHeaders(),
        /^timed out after 800 ms: GET \S+: the response has not ended for \d+ ms$/,
      ],
    ];
    for (const [fault, listener, reason] of faults) {
      it(`fails while the service ${fault}`, async () => {
        let isBroken = false;
        const base = await serve((request, response) => (isBroken ? listener(request, response) : response.end()));
        await stageFault({
          registry: await discover({ url: base }),
          probe: 'http',
          fault: `the service ${fault}`,
          begin: () => (isBroken = true),
          end: () => (isBroken = false),
          reason,
        });
      });
    }

    it('passes with the first run after the service has disappeared, although all idle connections of its agent are dead', async () => {
      const target = await serve((_, response) => response.end());
      const proxy = await new SilentProxy(Number(new URL(target).port)).start();
      const agent = new Agent({ keepAlive: true });
      const through = { url: `http://127.0.0.1:${String(proxy.port)}/`, agent };
      try {
        await Promise.all(Array.from({ length: 5 }, () => checkHttp(through, context())));
        await checkHttp({ url: target, agent }, context());
        const isIdle = (counts: string) =>
          until(
            () =>
              Object.values(agent.freeSockets)
                .map((one) => one?.length)
                .join() === counts,
          );
        await isIdle('5,1');
        await stageFault({
          registry: await discover(through),
          probe: 'http',
          fault: 'the service has disappeared without closing the idle connections of the agent',
          begin: () => proxy.fail(),
          end: () => proxy.mend(),
          reason: /^timed out after 800 ms: GET \S+: no answer for \d+ ms$/,
        });
        // That to another service is kept.
        await isIdle('1,1');
      } finally {
        agent.destroy();
        proxy.stop();
      }
    });

    it('names the failed service among several, and closes the connection to one that does not respond', async () => {
      let silentSocket: Socket | undefined;
      const silent = await serveRaw((socket) => (silentSocket = socket.resume()));
      const failing = await serve((_, response) => {
        void until(() => silentSocket).then(() => response.writeHead(500).end());
      });
      const registry = await discover({ url: silent }, { url: failing });
      const [result] = (await registry.run('readiness', { only: 'http' })).results;
      expect(String(result?.error)).to.include(`GET ${failing}/ answered 500`);
      await until(() => silentSocket?.destroyed);
    });

    it('names every service without an answer when the deadline is exceeded', async () => {
      const silent = await Promise.all([1, 2].map(() => serveRaw((socket) => socket.resume())));
      const failure = await failureOf(
        await discover({ url: await serve((_, response) => response.end()) }, ...silent.map((one) => ({ url: one }))),
      );
      const each = silent.map((one) => `GET ${one}/: no answer for \\d+ ms`).join('; ');
      expect(failure).to.match(new RegExp(`^timed out after 800 ms: 2 of 3 failed: ${each}$`));
    });

    it('fails the start if nothing is bound to HTTP_TARGET, and says what to bind', async () => {
      expect(await problemOf(discover())).to.match(
        /could not create HttpProbe\. .*nothing is bound to HTTP_TARGET\. Bind a target, `container\.bind\(HTTP_TARGET\)/,
      );
    });
  });

  describe('checkHttp(target, context)', () => {
    it('sends the method and the headers on a connection that it closes', async () => {
      const seen: IncomingMessage[] = [];
      const url = await serve((request, response) => {
        seen.push(request);
        response.end('body');
      });
      const { signal } = new AbortController();
      await checkHttp({ url: `${url}/a?b=c`, method: 'HEAD', headers: { 'x-probe': '1' } }, { signal });
      await checkHttp({ url: new URL(url) }, { signal });
      expect(seen.map(({ method, url: path }) => `${String(method)} ${String(path)}`)).to.deep.equal(['HEAD /a?b=c', 'GET /']);
      expect(seen[0]?.headers).to.include({ 'x-probe': '1', connection: 'close' });
      expect(new Set(seen.map(({ socket }) => socket)).size).to.equal(2);
      await until(() => seen.every(({ socket }) => socket.destroyed));
      await until(() => getEventListeners(signal, 'abort').length === 0);
    });

    it('uses the given agent, and leaves its connection open', async () => {
      const seen = new Set<Socket>();
      const url = await serve((request, response) => {
        seen.add(request.socket);
        response.end('body');
      });
      const agent = new Agent({ keepAlive: true });
      for (let round = 0; round < 3; round += 1) {
        await checkHttp({ url, agent }, context());
        await until(() => Object.keys(agent.freeSockets).length === 1);
      }
      expect(seen.size).to.equal(1);
      agent.destroy();
    });

    const agents: [string, () => Agent | undefined][] = [
      ['without an agent', () => undefined],
      ['with an agent of one connection', () => new Agent({ keepAlive: true, maxSockets: 1 })],
    ];
    for (const status of [503, 302]) {
      for (const [name, makeAgent] of agents) {
        it(`releases the connection of a ${String(status)} response with an unread body, ${name}`, async () => {
          const open = new Set<Socket>();
          let mostOpen = 0;
          const url = await serve(({ socket }, response) => {
            if (!open.has(socket)) socket.once('close', () => open.delete(socket));
            mostOpen = Math.max(mostOpen, open.add(socket).size);
            response.writeHead(status, { location: 'http://other.invalid/' }).end('a body');
          });
          const agent = makeAgent();
          for (let round = 0; round < 50; round += 1) {
            expect(await problemOf(checkHttp({ url, agent }, { signal: AbortSignal.timeout(5_000) }))).to.include(
              `answered ${String(status)}`,
            );
          }
          // One is opened while the one before it is closed.
          expect(mostOpen).to.be.at.most(5);
          await until(() => open.size === 0);
          agent?.destroy();
        });
      }
    }

    const statuses: [string, HttpTarget['status'], number, RegExp][] = [
      ['200 to 299 by default', undefined, 204, /passed/],
      ['no redirect by default', undefined, 304, /answered 304, expected 200 to 299/],
      ['a number', 404, 404, /passed/],
      ['only a matching number', 404, 200, /answered 200, expected 404/],
      ['a list', [200, 401], 401, /passed/],
      ['only a status in the list', [200, 401], 403, /answered 403, expected 200 or 401/],
      ['a predicate', (status) => status < 500, 418, /passed/],
      ['only a status that the predicate accepts', (status) => status < 500, 500, /answered 500, expected a status that `status` accepts/],
      [
        'a predicate that throws',
        () => {
          throw new Error('broken predicate');
        },
        200,
        /broken predicate/,
      ],
    ];
    for (const [name, status, answered, outcome] of statuses) {
      it(`accepts ${name} as the expected status`, async () => {
        const url = await serve((_, response) => response.writeHead(answered).end());
        expect(await problemOf(checkHttp({ url, status }, context()))).to.match(outcome);
      });
    }

    it('reads only as much as needed of an endless body', async () => {
      let socket: Socket | undefined;
      const url = await serve((request, response) => {
        ({ socket } = request);
        const write = () => {
          while (!response.destroyed && response.write(Buffer.alloc(16_384)));
        };
        response.on('drain', write);
        write();
      });
      await checkHttp({ url }, context());
      await until(() => socket?.destroyed);
    });

    it('follows as many redirects as allowed within the origin, with the credentials and the headers', async () => {
      const seen: (string | undefined)[] = [];
      const url = await serve((request, response) => {
        seen.push(request.headers.authorization);
        const [, step] = /(\d)$/.exec(request.url ?? '') ?? [];
        if (step === undefined || step === '0') response.end();
        else redirectTo(`/step/${String(Number(step) - 1)}`)(request, response);
      });
      const base = url.replace('http://', 'http://user:pass@');
      await checkHttp({ url: `${base}/step/2`, maxRedirects: 2 }, context());
      expect(new Set(seen)).to.deep.equal(new Set([`Basic ${Buffer.from('user:pass').toString('base64')}`]));
      expect(await problemOf(checkHttp({ url: `${base}/step/3`, maxRedirects: 2 }, context()))).to.match(
        /GET \S+\/step\/1 answered 302, expected 200 to 299: it redirects to \/step\/0, and `maxRedirects` allows no more/,
      );
    });

    it('follows no redirect by default, and passes if the status of the redirect is expected', async () => {
      const url = await serve(redirectTo('/login'));
      expect(await problemOf(checkHttp({ url }, context()))).to.match(/it redirects to \/login, and `maxRedirects` allows no more/);
      await checkHttp({ url, status: 302, maxRedirects: 3 }, context());
    });

    it('never follows to another host, port or scheme', async () => {
      let wasAsked = false;
      const other = await serve((_, response) => {
        wasAsked = true;
        response.end();
      });
      for (const location of [other, other.replace('http', 'https'), `//user:pass@127.0.0.1:${new URL(other).port}/x?token=secret`]) {
        const problem = await problemOf(checkHttp({ url: await serve(redirectTo(location, 307)), maxRedirects: 5 }, context()));
        expect(problem).to.match(/it redirects to another host, https?:\/\/127\.0\.0\.1:\d+, and such a redirect is never followed/);
      }
      const file = await problemOf(checkHttp({ url: await serve(redirectTo('file:///etc/passwd')), maxRedirects: 5 }, context()));
      expect(file).to.include('to another host, file://');
      expect(wasAsked).to.equal(false);
    });

    it('never shows credentials or the query in a message', async () => {
      const failing = await serve((_, response) => response.writeHead(500).end());
      const hosts = [
        failing,
        `http://127.0.0.1:${String(await freePort())}`,
        'http://nobody.invalid',
        await serve(redirectTo('/next?hunter2')),
      ];
      for (const host of hosts) {
        const problem = await problemOf(checkHttp({ url: `${host.replace('//', '//admin:hunter2@')}/path?key=hunter2` }, context()));
        expect(problem)
          .to.include('/path')
          .and.not.match(/hunter2|admin/);
      }
      expect(await problemOf(checkHttp({ url: 'ftp://admin:hunter2@host' }, context()))).to.not.match(/hunter2|admin/);
      expect(await problemOf(checkHttp({ url: 'http://admin:hunter2@' }, context()))).to.not.match(/hunter2|admin/);
    });

    it('reports a host name that is not found', async () => {
      expect(await problemOf(checkHttp({ url: 'http://nobody.invalid/' }, context()))).to.match(
        /GET http:\/\/nobody\.invalid\/: host name not found/,
      );
    });

    it('reports a server that does not speak HTTP', async () => {
      const url = await serveRaw((socket) => socket.end('220 mail ready\r\n'));
      expect(await problemOf(checkHttp({ url }, context()))).to.include('the server does not speak HTTP');
    });

    it('rejects with the reason of the signal, or with what it was waiting for, and closes the connection', async () => {
      const reason = new Error('enough');
      const controller = new AbortController();
      let hungUp: Promise<unknown> | undefined;
      const url = await serveRaw((socket) => {
        hungUp = once(socket.resume(), 'close');
        controller.abort(reason);
      });
      const problem: unknown = await checkHttp({ url }, controller).catch((error: unknown) => error);
      expect(String(problem)).to.match(new RegExp(`^Error: GET ${url}/: no answer for \\d+ ms$`));
      expect((problem as Error).cause).to.equal(reason);
      await hungUp;
      expect(getEventListeners(controller.signal, 'abort')).to.deep.equal([]);
      expect(await problemOf(checkHttp({ url }, controller))).to.equal('Error: enough');
    });

    const rejected: [object, RegExp][] = [
      [{}, /`url` of an HTTP target to be an absolute http: or https: URL, got something that is not a URL/],
      [{ url: '/health' }, /got something that is not a URL/],
      [{ url: 'ftp://host' }, /got a URL with ftp:/],
      [{ url: 'http://a', method: 'POST' }, /`method` of an HTTP target to be one of "GET", "HEAD", got "POST"/],
      [
        { url: 'http://a', status: 99 },
        /`status` of an HTTP target to be one or more whole numbers from 200 to 599, or a function, got "99"/,
      ],
      [{ url: 'http://a', status: [] }, /`status` of an HTTP target/],
      [{ url: 'http://a', status: '200' }, /`status` of an HTTP target .* got "200"/],
      [{ url: 'http://a', maxRedirects: 11 }, /`maxRedirects` of an HTTP target to be a whole number from 0 to 10, got `11` \(number\)/],
      [{ url: 'http://a', headers: ['a'] }, /`headers` of an HTTP target to be an object/],
      [
        { url: 'http://a', headers: { 'a b': '1' } },
        /`headers` of an HTTP target to be valid HTTP headers: Header name must be a valid HTTP token/,
      ],
      [{ url: 'http://a', headers: { a: '1\n2' } }, /Invalid character in header content/],
      [{ url: 'https://a', cert: 'none', key: 'none' }, /`ca`, `cert`, `key` and `pfx` of an HTTP target to be usable for TLS: .*PEM/],
      [{ url: 'https://a', servername: 5 }, /`servername` of an HTTP target to be a string, got `5` \(number\)/],
      [{ url: 'https://a', rejectUnauthorized: 'no' }, /`rejectUnauthorized` of an HTTP target to be true or false, got "no"/],
      [{ url: 'http://a', agent: 5 }, /`agent` of an HTTP target to be an Agent of node:http, got `5` \(number\)/],
      [{ url: 'https://a', agent: {} }, /`agent` of an HTTP target to be an Agent of node:https, got an object/],
      [{ url: 'http://a', timeout: 1 }, /Unknown option `timeout` of an HTTP target/],
    ];
    for (const [target, message] of rejected) {
      it(`rejects ${JSON.stringify(target)}, and fails the start`, async () => {
        const problem: unknown = await checkHttp(target as HttpTarget, context()).catch((error: unknown) => error);
        expect(problem).to.satisfy(ConfigurationError.is);
        expect(String(problem)).to.match(message);
        expect(await problemOf(discover(target as HttpTarget))).to.match(message);
      });
    }
  });

  it('rejects an agent for another scheme than that of the URL', async () => {
    const target = { url: 'https://127.0.0.1/', agent: new Agent() };
    expect(await problemOf(discover(target))).to.include(
      'Expected `agent` of an HTTP target to be an Agent of node:https, got an agent for http:.',
    );
  });

  describe('checkHttp(target, context) with TLS', () => {
    let authority: Authority;
    let server: TlsServer;
    before(async () => {
      authority = await new Authority().start();
      server = createTlsServer(await authority.issue(), (_, response) => response.end('ok')).listen(0, '127.0.0.1');
      await once(server, 'listening');
    });
    after(() => {
      server.close();
      authority.stop();
    });
    const url = () => `https://127.0.0.1:${portOf(server)}/`;

    it('trusts the given authority, and no unknown one', async () => {
      await checkHttp({ url: url(), ca: authority.ca }, context());
      expect(await problemOf(checkHttp({ url: url() }, context()))).to.match(
        /GET https:\/\/\S+: the certificate is not trusted: unable to/,
      );
      await checkHttp({ url: url(), rejectUnauthorized: false }, context());
    });

    it('checks the certificate for the given `servername`', async () => {
      const certificate = await authority.issue({ names: 'DNS:search.internal' });
      const named = createTlsServer(certificate, (_, response) => response.end('ok')).listen(0, '127.0.0.1');
      servers.push(named);
      await once(named, 'listening');
      const target = { url: `https://127.0.0.1:${portOf(named)}/`, ca: authority.ca };
      expect(await problemOf(checkHttp(target, context()))).to.match(/the certificate is not trusted: Hostname\/IP does not match/);
      await checkHttp({ ...target, servername: 'search.internal' }, context());
    });

    const untrusted: [string, () => Promise<Certificate>, RegExp][] = [
      ['has expired', () => authority.issue({ days: -1 }), /certificate has expired/],
      ['is for another name', () => authority.issue({ names: 'DNS:search.internal' }), /Hostname\/IP does not match/],
      [
        'is of an unknown authority',
        async () => {
          const other = await new Authority().start();
          const certificate = await other.issue();
          other.stop();
          return certificate;
        },
        /unable to verify the first certificate|self-signed certificate|unable to get local issuer/,
      ],
    ];
    for (const [fault, issue, reason] of untrusted) {
      it(`fails while the certificate ${fault}`, async () => {
        const [valid, bad] = [await authority.issue(), await issue()];
        await stageFault({
          registry: await discover({ url: url(), ca: authority.ca }),
          probe: 'http',
          fault: `the certificate of the service ${fault}`,
          begin: () => server.setSecureContext(bad),
          end: () => server.setSecureContext(valid),
          reason: new RegExp(`the certificate is not trusted: .*(${reason.source})`),
        });
      });
    }

    it('sends the given certificate to a service that requests one', async () => {
      const options = { ...(await authority.issue()), ca: authority.ca, requestCert: true, rejectUnauthorized: true };
      const strict = createTlsServer(options, (_, response) => response.end('ok')).listen(0, '127.0.0.1');
      servers.push(strict);
      await once(strict, 'listening');
      const target = { url: `https://127.0.0.1:${portOf(strict)}/`, ca: authority.ca };
      expect(await problemOf(checkHttp(target, context()))).to.match(/GET https:\/\/\S+: /);
      await checkHttp({ ...target, ...(await authority.issue()) }, context());
    });

    it('reports a service that does not speak TLS', async () => {
      const plain = (await serve((_, response) => response.end())).replace('http:', 'https:');
      expect(await problemOf(checkHttp({ url: plain }, context()))).to.include('the TLS handshake failed');
    });
  });
});
