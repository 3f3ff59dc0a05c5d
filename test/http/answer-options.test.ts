import { readFileSync } from 'node:fs';
import Router from '@koa/router';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { expect } from 'chai';
import Koa from 'koa';
import { ConfigurationError, Degraded, NotReady, probeMiddleware, ProbeRegistry, probeServer, type AnswerOptions } from 'koa-probes';
import { probeRouter, probeView } from 'koa-probes/router';
import { projectPath } from '../support/consumer.js';
import { ask, closeServers, serve, urlOf } from '../support/http.js';
import { MemoryLogger } from '../support/probes.js';

type Options = AnswerOptions<unknown>;

// oxlint-disable-next-line typescript/no-misused-promises -- Koa's own signature
const serveApp = (app: Pick<Koa, 'callback'>) => serve(app.callback());

/** Each of them answers /readyz. */
const ways: Readonly<Record<string, (probes: ProbeRegistry, options: Options) => Promise<string>>> = {
  probeMiddleware: (probes, options) => serveApp(new Koa().use(probeMiddleware(probes, options))),
  probeRouter: (probes, options) => serveApp(new Koa().use(probeRouter(probes, options).routes())),
  probeView: (probes, options) => serveApp(new Koa().use(new Router().get('/readyz', probeView(probes, 'readiness', options)).routes())),
  probeServer: async (probes, options) => urlOf(await probeServer(probes, { port: 0, host: '127.0.0.1', ...options })),
};

const JSON_HEADERS = { accept: 'application/health+json' };

describe('response options', () => {
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
  const register = (check: () => unknown, name = 'search') => probes.register({ name, kinds: ['readiness'], check });
  const fail = (error: Error) => () => {
    throw error;
  };

  for (const [name, start] of Object.entries(ways)) {
    describe(`info of ${name}()`, () => {
      const info = { version: '3', releaseId: 'a1b2c3d', serviceId: 'shop', description: 'The shop\u2028front', unset: undefined };
      const { unset: _, ...given } = info;

      it('is part of the JSON response for those who see all details', async () => {
        const url = await start(probes, { info: given, details: 'all' });
        const { body } = await ask(`${url}/readyz`, { headers: JSON_HEADERS });
        expect(JSON.parse(body)).to.deep.include(given);
        expect(body).to.match(
          /^\{"status":"pass","version":"3","releaseId":"a1b2c3d","serviceId":"shop","description":"The shop\\u2028front",/,
        );
      });

      it('is withheld from the public', async () => {
        const url = await start(probes, { info: given });
        expect(JSON.parse((await ask(`${url}/readyz`, { headers: JSON_HEADERS })).body)).to.have.all.keys('status', 'checks');
      });
    });

    describe(`retryAfterSeconds of ${name}()`, () => {
      it('is a header of 503 responses only', async () => {
        let status: number | undefined;
        register(() => status === undefined || fail(new NotReady('cold', { status }))());
        const url = await start(probes, { retryAfterSeconds: 7 });
        const read = async (wanted?: number) => {
          status = wanted;
          const { headers, ...answer } = await ask(`${url}/readyz`);
          return [answer.status, headers['retry-after']];
        };
        expect([await read(), await read(503), await read(429)]).to.deep.equal([
          [200, undefined],
          [503, '7'],
          [429, undefined],
        ]);
      });
    });

    describe(`render of ${name}()`, () => {
      const eureka: Options = {
        render: ({ status }) => ({ body: JSON.stringify({ status: status === 'fail' ? 'DOWN' : 'UP' }), contentType: 'application/json' }),
      };
      const HEADERS = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };

      it('sets the body and its type, and keeps the status and the other headers', async () => {
        let isUp = true;
        register(() => isUp);
        const url = await start(probes, { ...eureka, retryAfterSeconds: 3 });
        for (isUp of [true, false]) {
          const { status, headers, body } = await ask(`${url}/readyz`);
          expect([status, body]).to.deep.equal(isUp ? [200, '{"status":"UP"}'] : [503, '{"status":"DOWN"}']);
          expect(headers).to.include({ ...HEADERS, 'content-type': 'application/json', 'content-length': String(body.length) });
          expect(headers['retry-after']).to.equal(isUp ? undefined : '3');
        }
      });

      it('sends a string as text/plain, and is called for HEAD too', async () => {
        const url = await start(probes, { render: (report) => `grün: ${report.results.map((result) => result.name).join()}` });
        const got = await ask(`${url}/readyz`);
        expect(got).to.include({ status: 200, body: 'grün: lifecycle' });
        expect(got.headers).to.include({ ...HEADERS, 'content-type': 'text/plain; charset=utf-8', 'content-length': '16' });
        const { status, headers, body } = await ask(`${url}/readyz`, { method: 'HEAD' });
        expect([status, body, headers['content-length']]).to.deep.equal([200, '', '16']);
      });

      it('receives the request', async () => {
        const url = await start(probes, { render: (_report, request) => (request as { readonly url: string }).url });
        expect((await ask(`${url}/readyz?verbose`)).body).to.equal('/readyz?verbose');
      });

      it('cannot change the status', async () => {
        register(() => false);
        const url = await start(probes, {
          render: (report, request) => {
            Object.assign(report, { status: 'pass' });
            for (const result of report.results) Object.assign(result, { status: 'pass' });
            if (name !== 'probeServer') Object.assign(request as object, { status: 200, body: 'fine' });
            return 'fine';
          },
        });
        expect(await ask(`${url}/readyz`)).to.include({ status: 503, body: 'fine' });
      });

      const failures: Readonly<Record<string, readonly [() => unknown, RegExp]>> = {
        'it throws': [fail(new Error('no template')), /no template/],
        'it returns a promise': [() => Promise.reject(new Error('late')), /it returned a promise/],
        'it returns nothing': [() => undefined, /it returned `undefined`, not a string or \{ body, contentType \}/],
        'its type is not a media type': [
          () => ({ body: '', contentType: 'text/html\r\nX-Forged: 1' }),
          /its `contentType` is .*, not a media type/,
        ],
        'its type ends with a line break': [() => ({ body: '', contentType: 'text/html;\ncharset=utf-8' }), /not a media type/],
        'its body has more than 10 KiB': [() => 'é'.repeat(5_121), /its body has 10242 bytes, more than the 10240/],
      };
      for (const [failure, [render, line]] of Object.entries(failures)) {
        it(`is replaced by the default text if ${failure}, which is logged once or twice and not for each request`, async () => {
          register(fail(new NotReady('cold')));
          const url = await start(probes, { render: render as never, format: 'json' });
          for (let requests = 0; requests < 5; requests += 1) {
            const { status, headers, body } = await ask(`${url}/readyz`);
            expect([status, body]).to.deep.equal([503, '[+]lifecycle ok\n[-]search failed: cold\nreadyz check failed\n']);
            expect(headers).to.include({ ...HEADERS, 'content-type': 'text/plain; charset=utf-8' });
          }
          const told = logger.lines.filter((text) => text.includes('`render` failed, the default text is answered: '));
          expect(told.length).to.be.within(1, 2);
          expect(told[0]).to.match(line);
        });
      }

      it('may return 10 KiB and a type with parameters', async () => {
        const contentType = 'application/vnd.shop+json; charset="utf-8"; q=1';
        const url = await start(probes, { render: () => ({ body: 'é'.repeat(5_120), contentType }) });
        const { headers, body } = await ask(`${url}/readyz`);
        expect([headers['content-type'], Buffer.byteLength(body)]).to.deep.equal([contentType, 10_240]);
      });
    });

    it(`are rejected by ${name}() if they are out of range`, async () => {
      const refused: readonly (readonly [object, RegExp])[] = [
        [{ info: 'v1' }, /Expected the options of `info` of probe\w+\(\) to be an object/],
        [{ info: { release: 'a' } }, /Unknown option `release` of `info` of probe\w+\(\)\. Known options: `version`, `releaseId`/],
        [
          { info: { releaseId: 7 } },
          /Expected `info\.releaseId` of probe\w+\(\) to be a string of 1 to 200 characters, got `7` \(number\)/,
        ],
        [{ info: { releaseId: 'x'.repeat(201) } }, /got 201 characters/],
        [{ retryAfterSeconds: 0 }, /Expected `retryAfterSeconds` of probe\w+\(\) to be a whole number of seconds from 1 to 86400, got `0`/],
        [{ retryAfterSeconds: 1.5 }, /got `1\.5`/],
        [{ render: 'text' }, /Expected `render` of probe\w+\(\) to be a function, got "text"/],
      ];
      for (const [options, message] of refused) {
        const error: unknown = await Promise.resolve()
          .then(() => start(probes, options))
          .then(
            () => undefined,
            (thrown: unknown) => thrown,
          );
        expect([ConfigurationError.is(error), String(error)]).to.satisfy(
          ([isRefused, text]: [boolean, string]) => isRefused && message.test(text),
          String(error),
        );
      }
    });
  }

  it('keep the JSON within 10 KiB even with the longest info', async () => {
    for (let index = 0; index < 200; index += 1) register(() => false, `check-number-${String(index)}`);
    const text = '\u202e'.repeat(200);
    const url = await serveApp(
      new Koa().use(
        probeMiddleware(probes, { details: 'all', info: { version: text, releaseId: text, serviceId: text, description: text } }),
      ),
    );
    const { body } = await ask(`${url}/readyz`, { headers: JSON_HEADERS });
    expect(Buffer.byteLength(body)).to.be.at.most(10_240);
    expect(JSON.parse(body)).to.deep.include({ version: text });
  });
});

describe('koa-probes/health.schema.json', () => {
  const schema = JSON.parse(readFileSync(projectPath('schemas', 'health.schema.json'), 'utf8')) as object;
  const ajv = new Ajv2020({ allErrors: true, strict: true, strictTypes: false });
  addFormats.default(ajv);
  const validate = ajv.compile(schema);
  const errorsOf = (body: string) => (validate(JSON.parse(body)) ? [] : validate.errors);

  it('describes real responses: passes, failures, warnings, data, notes and info', async () => {
    const probes = new ProbeRegistry({ logger: false });
    const info = { version: '1', releaseId: 'a1b2c3d', serviceId: 'shop', description: 'The shop' };
    const url = await serveApp(new Koa().use(probeMiddleware(probes, { details: 'all', info })));
    const read = async (query = '') => (await ask(`${url}/readyz${query}`, { headers: JSON_HEADERS })).body;
    expect(errorsOf(await read())).to.deep.equal([]);
    const checks: Readonly<Record<string, () => unknown>> = {
      data: () => ({ shards: 3, leader: 'a', isFull: false }),
      refused: () => Promise.reject(new Error('connect ECONNREFUSED')),
      degraded: () => Promise.reject(new Degraded('slow')),
      large: () => Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`key${String(index)}`, 'x'.repeat(900)])),
    };
    for (const [name, check] of Object.entries(checks)) probes.register({ name, kinds: ['readiness'], check });
    for (let index = 0; index < 30; index += 1) probes.register({ name: `pass.${String(index)}`, kinds: ['readiness'], check: () => {} });
    const body = await read('?exclude=nobody&exclude=pass.1');
    expect(errorsOf(body)).to.deep.equal([]);
    expect(Object.keys(JSON.parse(body) as object)).to.deep.equal(['status', ...Object.keys(info), 'notes', 'checks']);
    expect(JSON.parse(body)).to.have.nested.property('checks.data[0].data.shards', 3);
    closeServers();
    probes.close();
  });

  it('rejects anything that is not such a response', () => {
    const check = { status: 'pass', observedValue: 1, observedUnit: 'ms', time: '2026-03-03T00:00:00.000Z' };
    expect(errorsOf(JSON.stringify({ status: 'pass', checks: { db: [check] } }))).to.deep.equal([]);
    for (const odd of [
      { status: 'UP', checks: {} },
      { status: 'pass' },
      { status: 'pass', checks: { db: check } },
      { status: 'pass', checks: { db: [{ ...check, time: 'today' }] } },
      { status: 'pass', checks: { 'a b': [check] } },
      { status: 'pass', checks: {}, secret: 1 },
    ])
      expect(errorsOf(JSON.stringify(odd)), JSON.stringify(odd)).not.to.deep.equal([]);
  });

  it('can be imported by its subpath of the package', () => {
    expect(import.meta.resolve('koa-probes/health.schema.json')).to.match(/\/schemas\/health\.schema\.json$/);
  });
});
