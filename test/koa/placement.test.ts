import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import type { Server } from 'node:http';
import http2 from 'node:http2';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import Koa, { type Middleware } from 'koa';
import { isProbeRequest, probeMiddleware, ProbeRegistry, probeServer } from 'koa-probes';
import { ask, urlOf } from '../support/http.js';
import { until } from '../support/processes.js';
import { ControlledCheck, MemoryLogger } from '../support/probes.js';

const servers: Server[] = [];
const registries: ProbeRegistry[] = [];
afterEach(() => {
  for (const registry of registries.splice(0)) registry.close();
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

async function serve(app: Koa): Promise<string> {
  app.silent = true;
  const server = app.listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return urlOf(server);
}

function registryOf(): { probes: ProbeRegistry; lines: string[] } {
  const logger = new MemoryLogger();
  const probes = new ProbeRegistry({ logger });
  registries.push(probes);
  return { probes, lines: logger.lines };
}

const hello: Middleware = (ctx) => {
  ctx.body = 'Hello';
};
/** As agents wrap what they trace: another function, with nothing of the one that it calls. */
const wrap =
  (middleware: Middleware): Middleware =>
  (ctx, next) =>
    middleware(ctx, next);

describe('probeMiddleware if something else answers a probe', () => {
  it('logs once what has answered with which status, and the cure', async () => {
    const { probes, lines } = registryOf();
    const url = await serve(new Koa().use(hello).use(probeMiddleware(probes)));
    for (let requests = 0; requests < 3; requests += 1) expect((await ask(`${url}/readyz`)).body).to.equal('Hello');
    await until(() => lines.length > 0);
    expect(lines).to.have.length(1);
    expect(lines[0]).to.match(/^warn koa-probes: GET \/readyz on port \d+ was answered with 200 by something other than probeMiddleware/);
    expect(lines[0]).to.include('Call app.use(probeMiddleware(probes)) first.');
  });

  it('logs this for each path, even if other paths were answered correctly', async () => {
    const { probes, lines } = registryOf();
    const early: Middleware = async (ctx, next) => {
      if (ctx.path === '/healthz') ctx.body = 'fine';
      else await next();
    };
    const url = await serve(new Koa().use(early).use(probeMiddleware(probes)));
    await ask(`${url}/readyz`);
    expect((await ask(`${url}/healthz`)).body).to.equal('fine');
    await until(() => lines.some((line) => line.includes('GET /healthz on port')));
    expect(lines.filter((line) => line.includes('was answered'))).to.have.length(1);
  });

  it('logs this for custom paths too', async () => {
    const { probes, lines } = registryOf();
    const url = await serve(new Koa().use(hello).use(probeMiddleware(probes, { paths: { readiness: '/health/ready' } })));
    await ask(`${url}/readyz`);
    await ask(`${url}/health/ready?verbose`);
    await until(() => lines.length > 0);
    expect(lines.join()).to.include('GET /health/ready?verbose on port');
  });

  it('names neither a port nor a middleware if there is none', async () => {
    const { probes, lines } = registryOf();
    const socketPath = join(mkdtempSync(join(tmpdir(), 'placement-')), 'app.sock');
    const app = new Koa()
      .use((_, next) => next())
      .use(hello)
      .use(probeMiddleware(probes));
    const server = app.listen(socketPath);
    servers.push(server);
    await once(server, 'listening');
    await ask('http://localhost/readyz', { socketPath });
    await until(() => lines.length > 0);
    expect(lines[0]).to.include('GET /readyz was answered with 200');
    const other = registryOf();
    const url = await serve(
      new Koa()
        .use((_, next) => next())
        .use(probeMiddleware(other.probes))
        .use(hello),
    );
    await ask(`${url}/`);
    expect(other.lines.join()).to.include('probeMiddleware is not the first middleware, an unnamed middleware is');
  });

  it('logs nothing if it has answered itself, or a probeServer has', async () => {
    const { probes, lines } = registryOf();
    const url = await serve(new Koa().use(probeMiddleware(probes)).use(hello));
    await ask(`${url}/readyz`);
    const other = registryOf();
    probeMiddleware(other.probes);
    const server = await probeServer(other.probes, { port: 0, host: '127.0.0.1' });
    await ask(`${urlOf(server)}/readyz`);
    await ask(`${url}/`);
    expect([...lines, ...other.lines]).to.deep.equal([]);
  });

  it('keeps its response, even if another middleware changes it afterwards', async () => {
    const { probes } = registryOf();
    probes.lifecycle.setReady(false, 'maintenance');
    const forgive: Middleware = async (ctx, next) => {
      await next();
      ctx.status = 200;
      ctx.set('X-Forgiven', 'yes');
      ctx.body = { forgiven: true };
    };
    const url = await serve(new Koa().use(forgive).use(probeMiddleware(probes)));
    const { status, body } = await ask(`${url}/readyz`);
    expect(status).to.equal(503);
    expect(body).to.include('maintenance');
  });
});

describe('probeMiddleware if an agent wraps it', () => {
  const slow: Middleware = async function slow(_, next) {
    await new Promise(setImmediate);
    await next();
  };
  const quick: Middleware = function quick(_, next) {
    return next();
  };
  for (const [name, before] of Object.entries({ slow, quick })) {
    it(`warns that it is not the first if it follows a ${name} middleware`, async () => {
      const { probes, lines } = registryOf();
      const url = await serve(
        new Koa()
          .use(before)
          .use(wrap(probeMiddleware(probes)))
          .use(hello),
      );
      await ask(`${url}/`);
      expect(lines.join()).to.include(`probeMiddleware is not the first middleware, ${name} is`);
    });
  }

  it('logs nothing if it is the first', async () => {
    const { probes, lines } = registryOf();
    const url = await serve(
      new Koa()
        .use(wrap(wrap(probeMiddleware(probes))))
        .use(slow)
        .use(hello),
    );
    await ask(`${url}/`);
    await ask(`${url}/readyz`);
    expect(lines).to.deep.equal([]);
  });

  it('does not change the depth of stack traces', async () => {
    const { stackTraceLimit } = Error;
    const { probes } = registryOf();
    await ask(`${await serve(new Koa().use(wrap(probeMiddleware(probes))).use(hello))}/`);
    expect(Error.stackTraceLimit).to.equal(stackTraceLimit);
  });
});

describe('a prober that closes the connection before the response', () => {
  const hangUp = async (url: string, slow: ControlledCheck) => {
    const runs = slow.runs;
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.write('GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
    await until(() => slow.runs > runs);
    socket.destroy();
    await once(socket, 'close');
    // The server must have seen it.
    await ask(`${url}/livez`);
  };
  const kinds = {
    probeMiddleware: (probes: ProbeRegistry) => serve(new Koa().use(probeMiddleware(probes))),
    probeServer: async (probes: ProbeRegistry) => urlOf(await probeServer(probes, { port: 0, host: '127.0.0.1' })),
  };
  for (const [name, start] of Object.entries(kinds)) {
    it(`is logged once, with the cure, until a response is delivered again: ${name}`, async () => {
      const { probes, lines } = registryOf();
      const slow = new ControlledCheck();
      probes.register({ name: 'slow', kinds: ['readiness'], timeoutMs: 1_500, check: slow.check });
      const url = await start(probes);
      const told = () => lines.filter((line) => line.includes('hung up'));
      for (let outage = 1; outage <= 2; outage += 1) {
        for (let requests = 0; requests < 3; requests += 1) {
          await hangUp(url, slow);
          slow.resolve();
          await until(() => told().length === outage);
        }
        const answered = ask(`${url}/readyz`);
        await until(() => slow.runs % 4 === 0);
        slow.resolve();
        expect((await answered).status).to.equal(200);
      }
      expect(told()[0]).to.match(
        /a readiness prober hung up before its answer was there.* 1600 ms\. Set `timeoutSeconds: 2` in the pod spec/,
      );
    });
  }
});

describe('a probe that is answered before the checks have finished', () => {
  it('is left to the middleware that has answered it, without an error or a line about the prober', async () => {
    const { probes, lines } = registryOf();
    const slow = new ControlledCheck();
    probes.register({ name: 'slow', kinds: ['readiness'], check: slow.check });
    const errors: unknown[] = [];
    const giveUp: Middleware = async (ctx, next) => {
      const running = next();
      ctx.res.statusCode = 504;
      ctx.res.end('too slow');
      await once(ctx.res, 'finish');
      slow.resolve();
      await running;
      ctx.respond = false;
    };
    const app = new Koa().use(giveUp).use(probeMiddleware(probes));
    app.on('error', (error) => errors.push(error));
    const url = await serve(app);
    expect((await ask(`${url}/readyz`)).status).to.equal(504);
    await until(() => lines.length > 0);
    expect(errors).to.deep.equal([]);
    expect(lines.join()).to.include('was answered with 504 by something other').and.not.to.include('hung up');
  });
});

describe('a prober over HTTP/2 that cancels its stream', () => {
  it('is logged like one that closes the connection', async () => {
    const { probes, lines } = registryOf();
    const slow = new ControlledCheck();
    probes.register({ name: 'slow', kinds: ['readiness'], check: slow.check });
    const answer = new Koa().use(probeMiddleware(probes)).callback();
    const server = http2.createServer((request, response) => void answer(request, response)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const session = http2.connect(`http://127.0.0.1:${String((server.address() as AddressInfo).port)}`);
    const stream = session.request({ ':path': '/readyz' });
    stream.on('error', () => {});
    await until(() => slow.runs === 1);
    stream.close(http2.constants.NGHTTP2_CANCEL);
    await once(stream, 'close');
    await new Promise((resolve) => session.ping(resolve));
    slow.resolve();
    await until(() => lines.length > 0);
    expect(lines[0]).to.include('a readiness prober hung up');
    session.destroy();
    server.close();
  });
});

describe('isProbeRequest(request, options)', () => {
  const cases: [string, string, boolean][] = [
    ['GET', '/readyz', true],
    ['HEAD', '/livez?verbose', true],
    ['GET', '/healthz/', true],
    ['GET', '/startupz', true],
    ['GET', '/readyz/database', true],
    ['POST', '/readyz', false],
    ['GET', '/readyzed', false],
    ['GET', '/', false],
    ['GET', '/api/readyz', false],
  ];
  for (const [method, url, isProbe] of cases) {
    it(`returns ${String(isProbe)} for ${method} ${url}`, () => expect(isProbeRequest({ method, url })).to.equal(isProbe));
  }

  it('uses the paths of the application', () => {
    const paths = { readiness: '/health/ready' };
    for (let times = 0; times < 2; times += 1) {
      expect(isProbeRequest({ method: 'GET', url: '/health/ready' }, { paths })).to.equal(true);
      expect(isProbeRequest({ method: 'GET', url: '/readyz' }, { paths })).to.equal(false);
      expect(isProbeRequest({ method: 'GET', url: '/livez' }, { paths })).to.equal(true);
    }
  });

  it('returns false for a request without a method or a URL', () => expect(isProbeRequest({})).to.equal(false));

  it('rejects invalid paths', () => {
    expect(() => isProbeRequest({ method: 'GET', url: '/' }, { paths: { readiness: 'readyz' } })).to.throw(/to begin with "\/"/);
  });
});
