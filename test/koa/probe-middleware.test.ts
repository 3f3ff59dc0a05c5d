import { once } from 'node:events';
import { connect } from 'node:net';
import { expect } from 'chai';
import Koa, { type Middleware } from 'koa';
import { ConfigurationError, NotReady, probeMiddleware, ProbeRegistry, type ProbeMiddlewareOptions } from 'koa-probes';
import { ask, closeServers, sendRaw, serve } from '../support/http.js';
import { until } from '../support/processes.js';
import { ControlledCheck, MemoryLogger } from '../support/probes.js';

const KUBELET_HEADERS = 'Host: 10.0.0.1:3000\r\nUser-Agent: kube-probe/1.34\r\nAccept: */*\r\nConnection: close\r\n\r\n';
const MAX_BODY_BYTES = 10_240;

describe('probeMiddleware(probes, options)', () => {
  let logger: MemoryLogger;
  let probes: ProbeRegistry;
  beforeEach(() => {
    logger = new MemoryLogger();
    probes = new ProbeRegistry({ logger });
  });
  afterEach(() => {
    probes.close();
    closeServers();
  });

  /** The application behind it answers everything, as one with a catch-all route does. */
  const start = (options?: ProbeMiddlewareOptions, before: Middleware[] = []) => {
    const app = new Koa();
    for (const middleware of before) app.use(middleware);
    app.use(probeMiddleware(probes, options)).use((ctx) => (ctx.body = `the application: ${ctx.url}`));
    // oxlint-disable-next-line typescript/no-misused-promises -- Koa's own signature
    return serve(app.callback());
  };
  const pass = (name: string) => probes.register({ name, kinds: ['readiness'], check: () => {} });
  const failWith = (name: string, error: unknown) => probes.register({ name, kinds: ['readiness'], check: () => Promise.reject(error) });

  describe('when all probes pass', () => {
    it('answers each default path with 200 and ok', async () => {
      pass('database');
      const url = await start();
      for (const path of ['/livez', '/healthz', '/readyz', '/startupz']) {
        const { status, headers, body } = await ask(url + path);
        expect([path, status, body]).to.deep.equal([path, 200, 'ok']);
        expect(headers).to.include({
          'content-type': 'text/plain; charset=utf-8',
          'content-length': '2',
          'cache-control': 'no-store',
          'x-content-type-options': 'nosniff',
        });
        expect(headers).not.to.have.property('transfer-encoding');
      }
    });

    it('answers ?verbose with a line for each check and the requested path', async () => {
      pass('database');
      const url = await start();
      expect((await ask(`${url}/readyz?verbose`)).body).to.equal('[+]lifecycle ok\n[+]database ok\nreadyz check passed\n');
      expect((await ask(`${url}/healthz/?verbose=1&x`)).body).to.equal('[+]lifecycle ok\nhealthz check passed\n');
      expect((await ask(`${url}/startupz?verbose`)).body).to.equal('startupz check passed\n');
    });

    it('answers HEAD with only the headers of GET', async () => {
      const url = await start();
      const [got, head] = [await ask(`${url}/livez`), await ask(`${url}/livez`, { method: 'HEAD' })];
      expect([head.status, head.body, head.headers['content-length']]).to.deep.equal([200, '', got.headers['content-length']]);
    });
  });

  describe('when a probe fails', () => {
    it('answers 503 with a line for each check, shows the message of NotReady and withholds other reasons', async () => {
      pass('cache');
      failWith('database', new Error('password authentication failed for admin at db.internal'));
      failWith('search', new NotReady('shards are missing'));
      const { status, body } = await ask(`${await start()}/readyz`);
      expect(status).to.equal(503);
      expect(body).to.equal(
        '[+]lifecycle ok\n[+]cache ok\n[-]database failed: reason withheld\n[-]search failed: shards are missing\nreadyz check failed\n',
      );
      expect(logger.lines.join()).to.include('password authentication failed for admin at db.internal');
    });

    it('answers with the status of NotReady if it is the only failure', async () => {
      failWith('search', new NotReady('too many requests', { status: 429 }));
      const url = await start();
      expect((await ask(`${url}/readyz`)).status).to.equal(429);
      failWith('database', new Error('down'));
      expect((await ask(`${url}/readyz`)).status).to.equal(503);
    });

    it('keeps a reason on one line', async () => {
      failWith('search', new NotReady('missing\n[+]forged ok\r\n\u2028\u0000end'));
      expect((await ask(`${await start()}/readyz`)).body).to.include('[-]search failed: missing [+]forged ok end\n');
    });
  });

  describe('for a single probe', () => {
    it('runs only that probe', async () => {
      pass('database');
      failWith('search', new Error('down'));
      const url = await start();
      expect(await ask(`${url}/readyz/database?verbose`)).to.include({
        status: 200,
        body: '[+]database ok\nreadyz/database check passed\n',
      });
      expect(await ask(`${url}/readyz/search/`)).to.include({
        status: 503,
        body: '[-]search failed: reason withheld\nreadyz/search check failed\n',
      });
      expect((await ask(`${url}/readyz/d%61tabase`)).body).to.equal('ok');
      expect(await ask(`${url}/livez/lifecycle`)).to.include({ status: 200, body: 'ok' });
    });

    it('answers 404 if the kind does not have the name, and never with a page of the application', async () => {
      pass('database');
      const url = await start();
      for (const path of [
        '/readyz/databse',
        '/livez/database',
        '/readyz/a/b',
        '/readyz/%00%0a',
        '/readyz/%',
        '/startupz/lifecycle',
        `/readyz/${'x'.repeat(5_000)}`,
      ]) {
        const { status, body, headers } = await ask(url + path);
        expect([path, status]).to.deep.equal([path, 404]);
        expect(body).to.match(/^no (readiness|liveness|startup) probe is named ".{1,100}"\n$/);
        expect(headers).to.include({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
      }
    });
  });

  describe('with ?exclude=', () => {
    it('does not run the excluded probes, and warns about unknown names in verbose output', async () => {
      failWith('database', new Error('down'));
      failWith('search', new Error('down'));
      const url = await start();
      expect(await ask(`${url}/readyz?exclude=database&exclude=search`)).to.include({ status: 200, body: 'ok' });
      expect(await ask(`${url}/readyz?verbose&exclude=database&exclude=search&exclude=a&exclude=b%22%0A`)).to.include({
        status: 200,
        body: '[+]lifecycle ok\n[+]database excluded: ok\n[+]search excluded: ok\nwarn: some health checks cannot be excluded: no matches for "a","b\\"\\n"\nreadyz check passed\n',
      });
    });
  });

  describe('when JSON is preferred', () => {
    it('answers in the format of the health+json draft', async () => {
      probes.register({ name: 'queue', kinds: ['readiness'], check: () => ({ waiting: 3 }) });
      failWith('database', new Error('secret'));
      failWith('search', new NotReady('shards are missing'));
      const { status, headers, body } = await ask(`${await start()}/readyz?exclude=nobody`, {
        headers: { accept: 'application/health+json' },
      });
      expect(status).to.equal(503);
      expect(headers['content-type']).to.equal('application/health+json');
      const { checks, ...rest } = JSON.parse(body) as { checks: Record<string, Record<string, unknown>[]> };
      expect(rest).to.deep.equal({ status: 'fail', notes: ['some health checks cannot be excluded: no matches for "nobody"'] });
      expect(Object.keys(checks)).to.deep.equal(['lifecycle', 'queue', 'database', 'search']);
      const [queue] = checks['queue'] ?? [];
      expect(queue).to.include({ status: 'pass', observedUnit: 'ms' }).and.not.to.have.property('output');
      expect(queue?.['data']).to.deep.equal({ waiting: 3 });
      expect(queue?.['observedValue']).to.be.a('number');
      expect(Math.abs(Date.parse(String(queue?.['time'])) - Date.now())).to.be.below(60_000);
      expect(checks['database']?.[0]).to.include({ status: 'fail', output: 'reason withheld' });
      expect(checks['search']?.[0]).to.include({ status: 'fail', output: 'shards are missing' });
    });

    const types: [string | undefined, string][] = [
      [undefined, 'text/plain; charset=utf-8'],
      ['*/*', 'text/plain; charset=utf-8'],
      ['text/html,application/xhtml+xml,*/*;q=0.8', 'text/plain; charset=utf-8'],
      ['application/json', 'application/json'],
      ['application/*', 'application/health+json'],
      ['text/plain;q=0.5, application/json', 'application/json'],
      ['application/json;q=0', 'text/plain; charset=utf-8'],
      ['image/png', 'text/plain; charset=utf-8'],
      [';;,,q=', 'text/plain; charset=utf-8'],
    ];
    for (const [accept, type] of types) {
      it(`answers \`Accept: ${accept ?? '(none)'}\` with ${type}`, async () => {
        const { headers, status } = await ask(`${await start()}/livez`, { headers: accept === undefined ? {} : { accept } });
        expect([status, headers['content-type']]).to.deep.equal([200, type]);
      });
    }

    it('prefers `format` to `Accept`', async () => {
      const url = await start({ format: 'json' });
      expect((await ask(`${url}/livez`)).headers['content-type']).to.equal('application/health+json');
      const text = await start({ format: 'text' });
      expect((await ask(`${text}/livez`, { headers: { accept: 'application/json' } })).body).to.equal('ok');
    });
  });

  describe('`details`', () => {
    const cases: [string, ProbeMiddlewareOptions['details'], string][] = [
      ['public', 'public', 'reason withheld'],
      ['all', 'all', 'down at db.internal'],
      ['a function that returns true', (ctx) => ctx.get('x-token') === 'operator', 'down at db.internal'],
      ['a function that returns false', () => false, 'reason withheld'],
      ['a function that returns a promise', (async () => true) as never, 'reason withheld'],
      ['a function whose promise is rejected', (() => Promise.reject(new Error('no session'))) as never, 'reason withheld'],
      [
        'a function that throws',
        () => {
          throw new Error('no session');
        },
        'reason withheld',
      ],
    ];
    for (const [name, details, reason] of cases) {
      it(`shows "${reason}" for ${name}`, async () => {
        failWith('database', new Error('down at db.internal'));
        const url = await start({ details });
        const headers = { 'x-token': 'operator' };
        expect((await ask(`${url}/readyz`, { headers })).body).to.include(`[-]database failed: ${reason}\n`);
        expect((await ask(`${url}/readyz`, { headers: { ...headers, accept: 'application/json' } })).body).to.include(
          `"output":"${reason}"`,
        );
      });
    }
  });

  it('answers a request with the whole URL, as a proxy may send it', async () => {
    probes.lifecycle.setReady(false, 'maintenance');
    const answer = await sendRaw(await start(), `GET HTTP://10.0.0.7:3000/readyz/?verbose HTTP/1.1\r\n${KUBELET_HEADERS}`);
    expect(answer)
      .to.match(/^HTTP\/1\.1 503 /)
      .and.to.include('[-]lifecycle failed: maintenance');
  });

  describe('`paths`', () => {
    it('replaces the paths of a kind, as a string or a list, and keeps the others', async () => {
      const url = await start({ paths: { liveness: '/alive', readiness: ['/ready', '/internal/ready.txt'] } });
      for (const path of ['/alive', '/ready', '/internal/ready.txt', '/startupz']) expect((await ask(url + path)).body).to.equal('ok');
      for (const path of ['/livez', '/healthz', '/readyz']) expect((await ask(url + path)).body).to.equal(`the application: ${path}`);
    });

    it('prefers the longest path that matches', async () => {
      const url = await start({ paths: { readiness: '/health', liveness: '/health/live' } });
      expect((await ask(`${url}/health/live?verbose`)).body).to.include('health/live check passed');
      expect((await ask(`${url}/health/lifecycle?verbose`)).body).to.include('health/lifecycle check passed');
    });

    it('answers no path for a kind with an empty list', async () => {
      expect((await ask(`${await start({ paths: { startup: [] } })}/startupz`)).body).to.equal('the application: /startupz');
    });

    const wrong: [string, object, RegExp][] = [
      ['without a slash', { liveness: 'livez' }, /path "livez" in `paths\.liveness` to begin with "\/"/],
      ['with a query', { readiness: '/readyz?verbose' }, /path "\/readyz\?verbose" in `paths\.readiness` to have no query/],
      [
        'with a slash at its end',
        { startup: ['/startupz/'] },
        /path "\/startupz\/" in `paths\.startup` to have a name and not to end with "\/"/,
      ],
      ['that is a slash', { readiness: '/' }, /path "\/" in `paths\.readiness`/],
      ['that clients encode', { readiness: '/ré{ady}' }, /path .* to be written as clients send it: "\/r%C3%A9%7Bady%7D"/],
      ['that clients shorten', { readiness: '/a/../ready' }, /to be written as clients send it: "\/ready"/],
      ['that is not a string', { readiness: [5] }, /path `5`.* in `paths\.readiness` to begin/],
      [
        'in two kinds',
        { liveness: '/health', readiness: '/health' },
        /path "\/health" in `paths\.readiness` is used twice: `paths\.liveness` has it too/,
      ],
      ['twice in one kind', { readiness: ['/ready', '/ready'] }, /used twice/],
      ['that a default of another kind has', { readiness: '/healthz' }, /used twice: `paths\.liveness`/],
      ['of an unknown kind', { ready: '/ready' }, /Unknown option `ready` of `paths`/],
    ];
    for (const [name, paths, message] of wrong) {
      it(`rejects a path ${name}`, () => expect(() => probeMiddleware(probes, { paths })).to.throw(ConfigurationError, message));
    }
  });

  it('rejects other options out of range, by name', () => {
    expect(() => probeMiddleware(probes, { detail: 'all' } as object)).to.throw(ConfigurationError, /Unknown option `detail`.*`details`/);
    expect(() => probeMiddleware(probes, { details: 'some' as 'all' })).to.throw(
      ConfigurationError,
      /`details`.*"public", "all", got "some"/,
    );
    expect(() => probeMiddleware(probes, { format: 'xml' as 'json' })).to.throw(ConfigurationError, /`format`.*got "xml"/);
    expect(() => probeMiddleware({} as ProbeRegistry)).to.throw(
      ConfigurationError,
      /Expected `probes` of probeMiddleware\(\) to be a ProbeRegistry, got an object/,
    );
    expect(() => probeMiddleware(Promise.resolve(probes) as never)).to.throw(ConfigurationError, /await discoverProbes/);
  });

  describe('for a request that is not a probe', () => {
    for (const path of [
      '/',
      '/readyzz',
      '/readyz.json',
      '/api/readyz',
      '/Readyz',
      '//readyz',
      '/live',
      '/livezebra?x=/livez',
      '*',
      'http://10.0.0.7/api',
    ]) {
      it(`passes ${path} on unchanged`, async () => {
        expect((await sendRaw(await start(), `GET ${path} HTTP/1.1\r\n${KUBELET_HEADERS}`)).split('\r\n\r\n')[1]).to.equal(
          `the application: ${path}`,
        );
      });
    }

    it('passes other methods on unchanged', async () => {
      const url = await start();
      for (const method of ['POST', 'DELETE', 'OPTIONS'])
        expect((await ask(`${url}/readyz`, { method })).body).to.equal('the application: /readyz');
    });

    it('warns once, on the first request of any kind, if it is not the first middleware', async () => {
      const url = await start({}, [
        async function session(_ctx, next) {
          await next();
        },
      ]);
      await ask(`${url}/livez`);
      expect(logger.lines).to.have.length(1);
      await ask(`${url}/a`);
      await ask(`${url}/b`);
      expect(logger.lines).to.have.length(1);
      expect(logger.lines[0]).to.match(/probeMiddleware is not the first middleware, session is/);
    });

    it('does not warn if it is the first', async () => {
      await ask(`${await start()}/a`);
      expect(logger.lines).to.deep.equal([]);
    });
  });

  it('never lets a later middleware change its response', async () => {
    probes.lifecycle.setReady(false, 'maintenance');
    expect(await ask(`${await start()}/readyz`)).to.include({
      status: 503,
      body: '[-]lifecycle failed: maintenance\nreadyz check failed\n',
    });
  });

  it('answers while starting and while draining', async () => {
    let isDone = false;
    probes.register({ name: 'schema', kinds: ['startup'], check: () => isDone });
    const url = await start();
    const statuses = async () => Promise.all(['/livez', '/readyz', '/startupz'].map(async (path) => (await ask(url + path)).status));
    expect(await statuses()).to.deep.equal([200, 503, 503]);
    expect((await ask(`${url}/readyz`)).body).to.equal('[-]lifecycle failed: starting: waiting for schema\nreadyz check failed\n');
    isDone = true;
    expect(await statuses()).to.deep.equal([200, 200, 200]);
    probes.lifecycle.drain();
    expect(await statuses()).to.deep.equal([200, 503, 200]);
  });

  it('answers two hundred requests for a check that hangs at its timeout, with one run', async () => {
    const hanging = new ControlledCheck();
    probes.register({ name: 'hanging', kinds: ['readiness'], timeoutMs: 1_500, check: hanging.check });
    const url = await start();
    const answers = await Promise.all(Array.from({ length: 200 }, () => ask(`${url}/readyz`)));
    expect(new Set(answers.map(({ status }) => status))).to.deep.equal(new Set([503]));
    expect(hanging.runs).to.equal(1);
  });

  it('is not affected by a client that disconnects', async () => {
    const slow = new ControlledCheck();
    probes.register({ name: 'slow', kinds: ['readiness'], check: slow.check });
    const url = await start();
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.write(`GET /readyz HTTP/1.1\r\n${KUBELET_HEADERS}`);
    await until(() => slow.runs === 1);
    socket.destroy();
    await once(socket, 'close');
    slow.resolve();
    const answer = ask(`${url}/readyz`);
    await until(() => (slow.resolve(), slow.runs === 2));
    slow.resolve();
    expect((await answer).status).to.equal(200);
  });

  it('sends the kubelet one small response with a length and closes the connection', async () => {
    const url = await start();
    const received = await sendRaw(url, `GET /readyz HTTP/1.1\r\n${KUBELET_HEADERS}`);
    const [head = '', body] = received.split('\r\n\r\n');
    expect(head).to.match(/^HTTP\/1\.1 200 OK\r\n/);
    expect(head)
      .to.match(/\r\nContent-Length: 2(\r\n|$)/)
      .and.to.match(/\r\nConnection: close(\r\n|$)/);
    expect(head).not.to.match(/Transfer-Encoding/i);
    expect(body).to.equal('ok');
  });

  describe('with more checks than fit into 10 KiB', () => {
    beforeEach(() => {
      for (let index = 0; index < 499; index += 1) pass(`check-number-${String(index)}-of-a-long-list`);
      failWith('last-of-all', new NotReady('é'.repeat(3_000)));
    });

    it('shortens the text, shows failures first, and says how many checks are not shown', async () => {
      const { body, headers } = await ask(`${await start()}/readyz?verbose`);
      const lines = body.trimEnd().split('\n');
      expect(Buffer.byteLength(body)).to.be.at.most(MAX_BODY_BYTES);
      expect(headers['content-length']).to.equal(String(Buffer.byteLength(body)));
      expect(lines.at(-1)).to.equal('readyz check failed');
      const shown = lines.filter((line) => line.startsWith('['));
      expect(lines.at(-2)).to.equal(`... ${String(501 - shown.length)} more checks are not shown`);
      expect(shown.at(-1)).to.match(/^\[-\]last-of-all failed: é+$/);
      expect(shown[0]).to.equal('[+]lifecycle ok');
    });

    it('shortens the JSON, and says so in its notes', async () => {
      const unknown = Array.from({ length: 500 }, (_, index) => `exclude=nobody-${String(index)}`).join('&');
      const { body } = await ask(`${await start()}/readyz?${unknown}`, {
        headers: { accept: 'application/json' },
      });
      expect(Buffer.byteLength(body)).to.be.at.most(MAX_BODY_BYTES);
      const { checks, notes } = JSON.parse(body) as { checks: object; notes: string[] };
      expect(notes[0]).to.equal(`${String(501 - Object.keys(checks).length)} more checks are not shown`);
      expect(checks).to.have.property('last-of-all');
    });
  });

  it('keeps two applications in one process apart', async () => {
    const other = new ProbeRegistry({ logger: false });
    other.lifecycle.setReady(false, 'the other one');
    // oxlint-disable-next-line typescript/no-misused-promises -- Koa's own signature
    const otherUrl = await serve(new Koa().use(probeMiddleware(other)).callback());
    expect((await ask(`${await start()}/readyz`)).status).to.equal(200);
    expect((await ask(`${otherUrl}/readyz`)).status).to.equal(503);
  });
});
