import { PassThrough } from 'node:stream';
import { expect } from 'chai';
import Koa from 'koa';
import { probeMiddleware, ProbeRegistry } from 'koa-probes';
import { createKoaLogger, createMorgan, createPinoLogger } from '../../examples/observability/access-logs.js';
import { ask, closeServers, serve } from '../support/http.js';
import { until } from '../support/processes.js';

/** How each logger is installed; it writes its lines to `print`. */
const loggers: Record<string, (app: Koa, print: (line: string) => void) => Promise<string>> = {
  'koa-logger': (app, print) => {
    app.middleware.unshift(createKoaLogger(print));
    const handle = app.callback();
    return serve((request, response) => void handle(request, response));
  },
  'pino-http': (app, print) => {
    const stream = new PassThrough().on('data', (chunk: Buffer) => print(chunk.toString()));
    const [log, handle] = [createPinoLogger(stream), app.callback()];
    return serve((request, response) => {
      log(request, response);
      void handle(request, response);
    });
  },
  morgan: (app, print) => {
    const [log, handle] = [createMorgan({ write: print }), app.callback()];
    return serve((request, response) => log(request, response, () => void handle(request, response)));
  },
};

describe('the access log of', () => {
  afterEach(closeServers);

  for (const [name, install] of Object.entries(loggers)) {
    it(`${name} has no probe that passes, and each one that fails`, async () => {
      let isUp = true;
      const probes = new ProbeRegistry({ logger: false });
      probes.register({ name: 'search', kinds: ['readiness'], check: () => isUp });
      const app = new Koa().use(probeMiddleware(probes));
      app.use((ctx) => void (ctx.body = 'hello'));
      let log = '';
      const url = await install(app, (line) => (log += `${line}\n`));
      for (const path of ['/readyz', '/livez?verbose', '/healthz/', '/orders']) await ask(url + path);
      isUp = false;
      for (const path of ['/readyz?failing', '/livez', '/readyz/typo', '/last']) await ask(url + path);
      await until(() => log.includes('/last') && log.includes('/typo'));
      const logged = ['/orders', '/readyz?failing', '/readyz/typo', '/last'];
      for (const path of logged) expect(log).to.include(path);
      for (const path of ['/livez', '/healthz']) expect(log).not.to.include(path);
      expect(log.match(/readyz/g)).to.have.length(2);
      expect(log).to.include('503').and.to.include('404');
    });
  }
});
