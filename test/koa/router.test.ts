import Router from '@koa/router';
import { expect } from 'chai';
import Koa from 'koa';
import { ConfigurationError, ProbeRegistry, type ProbeKind } from 'koa-probes';
import { probeRouter, probeView } from 'koa-probes/router';
import { ask, closeServers, serve } from '../support/http.js';

describe('koa-probes/router', () => {
  let probes: ProbeRegistry;
  beforeEach(() => {
    probes = new ProbeRegistry({ logger: false });
    probes.register({ name: 'database', kinds: ['readiness'], check: () => {} });
  });
  afterEach(closeServers);

  const start = (router: Router) => {
    const app = new Koa().use(router.routes()).use((ctx) => (ctx.body = 'the application'));
    // oxlint-disable-next-line typescript/no-misused-promises -- Koa's own signature
    return serve(app.callback());
  };

  describe('probeRouter(probes, options)', () => {
    it('answers the default paths and a single probe, and 404 for a name that the kind does not have', async () => {
      const url = await start(probeRouter(probes));
      for (const path of ['/livez', '/healthz', '/readyz', '/startupz', '/readyz/']) {
        expect(await ask(url + path)).to.include({ status: 200, body: 'ok' });
      }
      expect((await ask(`${url}/readyz/database?verbose`)).body).to.equal('[+]database ok\nreadyz/database check passed\n');
      expect((await ask(`${url}/readyz?verbose&exclude=database`)).body).to.include('[+]database excluded: ok');
      expect((await ask(`${url}/readyz/databse`)).status).to.equal(404);
      expect((await ask(`${url}/readyz/a/b`)).status).to.equal(404);
      expect((await ask(`${url}/READYZ`)).body).to.equal('the application');
      expect((await ask(`${url}/other`)).body).to.equal('the application');
    });

    it('answers HEAD, and passes other methods to the application', async () => {
      const url = await start(probeRouter(probes));
      expect(await ask(`${url}/readyz`, { method: 'HEAD' })).to.include({ status: 200, body: '' });
      expect(await ask(`${url}/readyz`, { method: 'POST' })).to.include({ body: 'the application' });
    });

    it('can be mounted under a prefix', async () => {
      const url = await start(new Router().use('/internal', probeRouter(probes, { paths: { readiness: '/ready' } }).routes()));
      expect((await ask(`${url}/internal/ready?verbose`)).body).to.include('internal/ready check passed');
      expect((await ask(`${url}/ready`)).body).to.equal('the application');
    });

    it('answers exactly the path, even if its characters have a meaning for the router', async () => {
      for (const path of ['/a:b', '/a(b)', '/a*', '/a+[b]!']) {
        const url = await start(probeRouter(probes, { paths: { readiness: path } }));
        expect((await ask(`${url}${path}/database`)).body).to.equal('ok');
        expect((await ask(`${url}/ab`)).body).to.equal('the application');
      }
    });

    it('rejects options out of range', () => {
      expect(() => probeRouter(probes, { paths: { readiness: 'ready' } })).to.throw(ConfigurationError, /"ready" in `paths\.readiness`/);
      expect(() => probeRouter(probes, { path: '/' } as object)).to.throw(ConfigurationError, /Unknown option `path` of probeRouter/);
    });
  });

  describe('probeView(probes, kind, options)', () => {
    it('answers on any path, with the route parameter `name` for a single probe', async () => {
      probes.register({ name: 'search', kinds: ['readiness'], check: () => Promise.reject(new Error('down')) });
      const view = probeView(probes, 'readiness', { details: 'all' });
      const url = await start(new Router().get('/internal/ready', view).get('/internal/ready/:name', view));
      expect(await ask(`${url}/internal/ready`)).to.include({
        status: 503,
        body: '[+]lifecycle ok\n[+]database ok\n[-]search failed: down\ninternal/ready check failed\n',
      });
      expect((await ask(`${url}/internal/ready/database`)).body).to.equal('ok');
      expect((await ask(`${url}/internal/ready/nobody`)).status).to.equal(404);
    });

    it('rejects an unknown kind and an unknown option', () => {
      expect(() => probeView(probes, 'ready' as ProbeKind)).to.throw(ConfigurationError, /`kind` of probeView\(\)/);
      expect(() => probeView(probes, 'readiness', { paths: {} } as object)).to.throw(ConfigurationError, /Unknown option `paths`/);
    });
  });
});
