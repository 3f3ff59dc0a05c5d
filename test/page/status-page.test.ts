import { once } from 'node:events';
import { createServer } from 'node:http';
import { expect } from 'chai';
import Koa from 'koa';
import { Degraded, gracefulShutdown, NotReady, ProbeRegistry, probeServer } from 'koa-probes';
import { statusPage } from 'koa-probes/page';
import { ask, closeServers, urlOf } from '../support/http.js';
import { until } from '../support/processes.js';
import { ControlledCheck } from '../support/probes.js';
import { asAda, closeRegistries, mountPage, openStream, readForm, reasonNotReady, send } from '../support/status-page.js';

afterEach(() => {
  closeRegistries();
  closeServers();
});

describe('statusPage(probes, options)', () => {
  it('answers at its path alone, with a slash or a query too, and hands everything else on', async () => {
    const { url } = await mountPage({}, { path: '/internal/status' });
    for (const path of ['/internal/status', '/internal/status/', '/internal/status?x=1']) {
      expect((await ask(url + path)).headers['content-type']).to.equal('text/html; charset=utf-8');
    }
    for (const path of ['/', '/internal', '/internal/statuses', '/internal/status/other', '/probes']) {
      expect((await ask(url + path)).body).to.equal('the application');
    }
  });

  it('is one document that loads nothing, and that a browser runs nothing of but its own script', async () => {
    const { url } = await mountPage({ search: () => {} });
    const { headers, body } = await ask(`${url}/probes`);
    expect(Buffer.byteLength(body)).to.be.below(60_000);
    expect(body).not.to.match(/<(?:img|link|script|iframe|object)[^>]+(?:src|href)="(?!data:,)/);
    const policy = headers['content-security-policy'];
    expect(policy).to.match(/^default-src 'none'; script-src 'sha256-[^ ']+'; style-src 'sha256-[^ ']+'; connect-src 'self'; /);
    expect(policy).not.to.include('unsafe');
    expect(headers).to.include({
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'content-length': String(Buffer.byteLength(body)),
    });
  });

  it('answers HEAD with the headers alone, and refuses other methods', async () => {
    const { url } = await mountPage({});
    const head = await ask(`${url}/probes`, { method: 'HEAD' });
    expect(head).to.include({ status: 200, body: '' });
    const put = await ask(`${url}/probes`, { method: 'PUT' });
    expect(put.status).to.equal(405);
    expect(put.headers.allow).to.equal('GET, HEAD, POST');
    expect((await ask(`${url}/probes/events`, { method: 'POST' })).status).to.equal(405);
  });

  it('runs no probe, however many look at it', async () => {
    const hung = new ControlledCheck();
    const { url } = await mountPage({ hung: hung.check });
    const streams = await Promise.all(Array.from({ length: 100 }, () => openStream(url)));
    for (let requests = 0; requests < 5; requests += 1) await ask(`${url}/probes`);
    await until(() => streams.every((stream) => stream.text().includes('event: update')));
    expect(hung.runs).to.equal(0);
    for (const stream of streams) stream.close();
  });

  it('shows failing probes first, each with its reason and its options', async () => {
    const { probes, url } = await mountPage({
      fine: () => {},
      slow: () => {
        throw new Degraded('shards are slow');
      },
      broken: () => {
        throw new NotReady('no quorum');
      },
    });
    await probes.run('readiness');
    const { body } = await ask(`${url}/probes`);
    const names = [...body.matchAll(/id="name-([^"]+)"/g)].map(([, name]) => name);
    expect(names).to.deep.equal(['broken', 'slow', 'fine']);
    expect(body).to.include('no quorum').and.to.include('shards are slow').and.to.include('broken is failing.');
    expect(body).to.include('1 failing, 1 degraded, 1 passing');
    expect(body).to.match(/timeoutMs<\/th>\s*<td>800<\/td>\s*<td>default/);
    expect(body).to.include('<title>(1) Not ready – Probes</title>');
  });

  it('withholds what a probe did not choose to make public, and says which option shows it', async () => {
    const checks = {
      database: () => {
        throw new Error('password of user shop is wrong');
      },
    };
    const closed = await mountPage(checks);
    await closed.probes.run('readiness');
    const open = await mountPage(checks, { details: (request) => 'query' in request && request.query['all'] === '1' });
    await open.probes.run('readiness');
    const withheld = [await ask(`${closed.url}/probes`), await ask(`${open.url}/probes`)];
    for (const { body } of withheld) {
      expect(body).not.to.include('password');
      expect(body).to.include('reason withheld').and.to.include('<code>details</code> of <code>statusPage()</code>');
    }
    expect((await ask(`${open.url}/probes?all=1`)).body).to.include('password of user shop is wrong');
    const stream = await openStream(closed.url);
    await until(() => stream.text().includes('event: update'));
    expect(stream.text()).not.to.include('password');
    stream.close();
  });

  it('keeps text as text, whatever is in it', async () => {
    const reason = `<script>alert(1)</script> " ' & \u202Eevil ${'x'.repeat(10_000)}`;
    const { probes, url } = await mountPage(
      {
        broken: () => {
          throw new NotReady(reason);
        },
      },
      { title: '<b>shop</b>' },
    );
    probes.lifecycle.hold('<i>held</i>');
    await probes.run('readiness');
    const { body } = await ask(`${url}/probes`);
    expect(body).not.to.match(/<script>alert|<b>shop|<i>held|\u202E/);
    expect(body).to.include('&#60;script&#62;alert(1)');
    expect(body.length).to.be.below(60_000);
  });

  it('tells the state of the application in one line', async () => {
    const { probes, url } = await mountPage({ search: async () => {} });
    const state = async () => /<h1 [^>]*aria-label="State: ([^"]+)"/.exec((await ask(`${url}/probes`)).body)?.[1];
    expect(await state()).to.equal('Not probed yet');
    await probes.run('readiness');
    await probes.run('liveness');
    expect(await state()).to.equal('Ready');
    const release = probes.lifecycle.hold('migration');
    expect(await state()).to.equal('Not ready');
    expect((await ask(`${url}/probes`)).body)
      .to.include('Readiness is held off')
      .and.to.include('migration');
    release();
    probes.lifecycle.setLive(false, 'stuck');
    expect(await state()).to.equal('Not live');
    probes.lifecycle.drain();
    expect(await state()).to.equal('Draining');
  });

  it('tells of the last 100 changes, newest first', async () => {
    let count = 0;
    const { probes, url } = await mountPage({
      flapping: () => {
        if ((count += 1) % 2 === 0) throw new NotReady('down');
      },
    });
    for (let runs = 0; runs < 130; runs += 1) await probes.run('readiness');
    const { body } = await ask(`${url}/probes`);
    const changes = /<ol id="changes"[^>]*>(.*?)<\/ol>/s.exec(body)?.[1] ?? '';
    expect(changes.match(/<li/g)).to.have.length(100);
    expect(changes).to.match(/^\s*<li class="fail">[^]*?flapping/);
  });

  it('forgets a probe that is taken out', async () => {
    const { probes, url } = await mountPage({});
    const remove = probes.register({ name: 'late', kinds: ['readiness'], check: () => {} });
    await probes.run('readiness');
    expect((await ask(`${url}/probes`)).body).to.include('id="probe-late"');
    remove();
    expect((await ask(`${url}/probes`)).body).not.to.include('id="probe-late"');
  });

  it('is served by probeServer too', async () => {
    const probes = new ProbeRegistry({ logger: false });
    probes.register({ name: 'search', kinds: ['readiness'], check: () => {} });
    const server = await probeServer(probes, { port: 0, host: '127.0.0.1', page: statusPage(probes, { path: '/' }) });
    const url = urlOf(server);
    expect((await ask(`${url}/`)).body).to.include('id="probe-search"');
    expect((await ask(`${url}/readyz`)).body).to.equal('ok');
    expect((await ask(`${url}/nothing`)).status).to.equal(404);
    const closed = once(server, 'close');
    probes.close();
    await closed;
  });

  describe('refuses', () => {
    const probes = new ProbeRegistry({ logger: false });
    const cases: Record<string, { call: () => unknown; message: RegExp }> = {
      'no registry': { call: () => statusPage(undefined as never), message: /Expected `probes` of statusPage\(\) to be a ProbeRegistry/ },
      'an unknown option': { call: () => statusPage(probes, { auth: 1 } as never), message: /auth/ },
      'a path without a slash': { call: () => statusPage(probes, { path: 'status' }), message: /to begin with "\/"/ },
      'a path with a query': { call: () => statusPage(probes, { path: '/status?x' }), message: /to have no query/ },
      'an empty title': { call: () => statusPage(probes, { title: '' }), message: /`title` of statusPage\(\)/ },
      'details of another kind': { call: () => statusPage(probes, { details: 'some' as never }), message: /details/ },
      'authorize that is no function': { call: () => statusPage(probes, { authorize: true as never }), message: /`authorize` .* function/ },
    };
    for (const [name, { call, message }] of Object.entries(cases)) it(name, () => expect(call).to.throw(message));

    it('a page of probeServer that is no page', async () => {
      const problem = await probeServer(probes, { port: 0, page: {} as never }).catch((error: unknown) => error);
      expect(problem).to.be.an('error').with.property('message').that.includes('Expected `page` of probeServer() to be a status page');
    });
  });
});

describe('the stream of statusPage', () => {
  it('tells of a change once for each browser, and sends nothing if nothing has changed', async () => {
    let isDown = false;
    const { probes, url } = await mountPage({
      search: async () => {
        if (isDown) throw new NotReady('no shards');
      },
    });
    await probes.run('readiness');
    const stream = await openStream(url);
    await until(() => stream.text().includes('event: update'));
    isDown = true;
    await probes.run('readiness');
    await until(() => stream.text().includes('no shards'));
    const news = stream.text().split('event: update\n');
    expect(news).to.have.length(3);
    const { parts, title } = JSON.parse(news[2]!.replace(/^data: /, '')) as { parts: Record<string, string>; title: string };
    expect(title).to.equal('(1) Not ready – Probes');
    expect(parts['probe-search']).to.include('no shards');
    expect(parts).to.have.all.keys('state', 'why', 'kinds', 'counts', 'probe-search', 'changes');
    stream.close();
  });

  it('ends with the shutdown and does not hold it', async () => {
    const probes = new ProbeRegistry({ logger: false });
    const app = new Koa().use(statusPage(probes));
    const server = createServer((request, response) => void app.callback()(request, response)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const shutdown = gracefulShutdown(server, probes, { drainDelayMs: 300, timeoutMs: 10_000, signals: [], exit: false });
    const stream = await openStream(urlOf(server));
    await until(() => stream.text().includes('event: update'));
    const startedAt = performance.now();
    const done = shutdown.shutdown('test');
    await until(() => stream.text().includes('Shutting down: draining'));
    await done;
    expect(stream.text()).to.include('event: end');
    expect(performance.now() - startedAt).to.be.below(8_000);
    await until(() => stream.hasEnded());
  });

  it('ends when the registry is closed, and is not opened again', async () => {
    const { probes, url } = await mountPage({});
    const stream = await openStream(url);
    probes.close();
    await until(() => stream.hasEnded());
    expect(stream.text()).to.include('event: end');
    expect((await openStream(url)).response.statusCode).to.equal(204);
  });

  it('forgets a browser that is gone', async () => {
    const { probes, url } = await mountPage({ search: () => {} });
    const stream = await openStream(url);
    await until(() => stream.text().includes('event: update'));
    stream.close();
    await until(() => stream.hasEnded());
    await probes.run('readiness');
    expect((await ask(`${url}/probes`)).status).to.equal(200);
  });
});

describe('the actions of statusPage', () => {
  const origin = (url: string) => ({ origin: url });

  async function openAs(url: string) {
    const { cookie, token } = readForm(await ask(`${url}/probes`));
    return { headers: { ...origin(url), cookie }, token };
  }

  it('are not there without authorize, nor for those whom it refuses', async () => {
    for (const options of [
      {},
      { authorize: () => false },
      { authorize: () => undefined },
      { authorize: () => '' },
      { authorize: () => 1 },
    ]) {
      const { url, probes } = await mountPage({ search: () => {} }, options);
      const page = await ask(`${url}/probes`);
      expect(page.body).not.to.match(/<form|<button/);
      expect(page.headers['set-cookie']).to.equal(undefined);
      const { status } = await send(url, { action: 'off', reason: 'x', token: '' }, origin(url));
      expect(status).to.equal(403);
      expect(await reasonNotReady(probes)).to.equal(undefined);
    }
  });

  it('refuse everybody, and log why, if authorize fails', async () => {
    const { url, lines } = await mountPage({}, { authorize: () => Promise.reject(new Error('the session store is gone')) });
    expect((await ask(`${url}/probes`)).body).not.to.include('<form');
    expect((await send(url, { action: 'off', reason: 'x' }, origin(url))).status).to.equal(403);
    expect(lines.join()).to.include('`authorize` of statusPage() failed: the session store is gone');
  });

  it('switch readiness off and on, and are logged with who did it', async () => {
    const { url, probes, lines } = await mountPage({}, asAda);
    const { headers, token } = await openAs(url);
    expect(await send(url, { action: 'off', reason: 'disk is full', token }, headers)).to.include({
      status: 200,
      body: 'Readiness is off.\n',
    });
    expect((await probes.run('readiness')).results[0]?.failure?.reason).to.equal('disk is full');
    expect(lines).to.include('warn koa-probes: readiness was switched off by ada on the status page: disk is full');
    expect((await ask(`${url}/probes`)).body).to.include('It is switched off: <bdi>disk is full</bdi>');
    expect((await send(url, { action: 'on', token }, headers)).status).to.equal(200);
    expect((await probes.run('readiness')).status).to.equal('pass');
    expect(lines).to.include('info koa-probes: readiness was switched on by ada on the status page');
  });

  it('start and end a maintenance beside other holds', async () => {
    const { url, probes, lines } = await mountPage({}, asAda);
    probes.lifecycle.hold('migration');
    const { headers, token } = await openAs(url);
    await send(url, { action: 'maintenance', reason: 'new disk', minutes: '30', token }, headers);
    expect(await reasonNotReady(probes)).to.equal('migration; maintenance: new disk');
    await send(url, { action: 'end-maintenance', token }, headers);
    expect(await reasonNotReady(probes)).to.equal('migration');
    expect(lines.join('\n')).to.include('maintenance was started by ada on the status page, for 30 min: new disk');
    expect((await send(url, { action: 'end-maintenance', token }, headers)).status).to.equal(409);
  });

  it('run a probe, whatever is cached', async () => {
    let runs = 0;
    const { url, probes } = await mountPage({}, asAda);
    probes.register({ name: 'cached', kinds: ['readiness'], cacheMs: 60_000, check: () => void (runs += 1) });
    await probes.run('readiness');
    const { headers, token } = await openAs(url);
    expect((await send(url, { action: 'run', probe: 'cached', token }, headers)).status).to.equal(200);
    await until(() => runs === 2);
    expect((await send(url, { action: 'run', probe: 'unknown', token }, headers)).status).to.equal(404);
  });

  it('show the page again to a browser without a script', async () => {
    const { url } = await mountPage({}, asAda);
    const { headers, token } = await openAs(url);
    const answer = await send(url, { action: 'off', reason: 'x', token }, { ...headers, accept: 'text/html' });
    expect(answer.status).to.equal(303);
    expect(answer.headers.location).to.equal('?');
  });

  it('give each browser a token of its own, behind a cookie for this site alone', async () => {
    const { url } = await mountPage({}, asAda);
    const first = await ask(`${url}/probes`);
    expect(first.headers['set-cookie']?.[0]).to.match(/^koa-probes-page=[0-9a-f]{32}; Path=\/; HttpOnly; SameSite=Strict$/);
    const second = await ask(`${url}/probes`);
    expect(readForm(second).token).not.to.equal(readForm(first).token);
    const again = await ask(`${url}/probes`, { headers: { cookie: readForm(first).cookie } });
    expect(readForm(again).token).to.equal(readForm(first).token);
    expect(again.headers['set-cookie']).to.equal(undefined);
  });

  describe('refuse', () => {
    const cases: Record<
      string,
      (own: { headers: { origin: string; cookie: string }; token: string }) => [Record<string, string>, Record<string, string>, number]
    > = {
      'another site': ({ headers, token }) => [{ action: 'off', reason: 'x', token }, { ...headers, origin: 'https://evil.example' }, 403],
      'a request that does not say where it comes from': ({ headers, token }) => [
        { action: 'off', reason: 'x', token },
        { cookie: headers.cookie },
        403,
      ],
      'an origin that is none': ({ headers, token }) => [{ action: 'off', reason: 'x', token }, { ...headers, origin: 'null' }, 403],
      'a wrong token': ({ headers }) => [{ action: 'off', reason: 'x', token: 'a'.repeat(64) }, headers, 403],
      'no token': ({ headers }) => [{ action: 'off', reason: 'x' }, headers, 403],
      'the token of another browser': ({ headers, token }) => [
        { action: 'off', reason: 'x', token },
        { ...headers, cookie: `koa-probes-page=${'0'.repeat(32)}` },
        403,
      ],
      'no cookie': ({ headers, token }) => [{ action: 'off', reason: 'x', token }, { origin: headers.origin }, 403],
      'another content type': ({ headers, token }) => [
        { action: 'off', reason: 'x', token },
        { ...headers, 'content-type': 'text/plain' },
        400,
      ],
      'a body that is too long': ({ headers, token }) => [{ action: 'off', reason: 'x'.repeat(10_000), token }, headers, 400],
      'no reason': ({ headers, token }) => [{ action: 'off', reason: ' ', token }, headers, 400],
      'an unknown action': ({ headers, token }) => [{ action: 'exit', token }, headers, 400],
      'minutes that are no number': ({ headers, token }) => [{ action: 'maintenance', reason: 'x', minutes: 'ten', token }, headers, 400],
    };
    for (const [name, make] of Object.entries(cases)) {
      it(name, async () => {
        const { url, probes } = await mountPage({}, asAda);
        const [fields, headers, status] = make(await openAs(url));
        expect((await send(url, fields, headers)).status).to.equal(status);
        expect(await reasonNotReady(probes)).to.equal(undefined);
      });
    }
  });
});
