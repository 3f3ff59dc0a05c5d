import { Validator } from '@seriousme/openapi-schema-validator';
import { expect } from 'chai';
import Koa from 'koa';
import { NotReady, probeMiddleware, ProbeRegistry } from 'koa-probes';
import { runCommand } from '../support/command.js';
import { ask, closeServers, serve } from '../support/http.js';

interface Document {
  readonly openapi: string;
  readonly paths: Readonly<
    Record<string, { readonly get: { readonly operationId: string; readonly responses: Readonly<Record<string, { content: object }>> } }>
  >;
}

describe('koa-probes openapi', () => {
  const validate = (document: Document) => new Validator().validate(structuredClone({ ...document }));
  const print = async (...args: readonly string[]) => {
    const { code, stdout, stderr } = await runCommand(['openapi', ...args]);
    expect([code, stderr]).to.deep.equal([0, '']);
    return JSON.parse(stdout) as Document;
  };

  it('prints a valid OpenAPI 3.1 document of the default paths', async () => {
    const document = await print();
    expect(await validate(document)).to.deep.equal({ valid: true });
    expect(document.openapi).to.equal('3.1.0');
    const paths = ['/healthz', '/livez', '/readyz', '/startupz'];
    expect(Object.keys(document.paths)).to.deep.equal(paths.flatMap((path) => [path, `${path}/{name}`]));
  });

  it('accepts paths by kind, several separated by commas, and gives each operation its own id', async () => {
    const document = await print('--readiness-paths', '/health/ready,/health-ready', '--startup-paths=/started');
    expect(await validate(document)).to.deep.equal({ valid: true });
    expect(Object.keys(document.paths).filter((path) => !path.endsWith('}'))).to.deep.equal([
      '/health-ready',
      '/health/ready',
      '/healthz',
      '/livez',
      '/started',
    ]);
    const ids = Object.values(document.paths).map(({ get }) => get.operationId);
    expect(new Set(ids).size).to.equal(10);
  });

  it('describes the status and the type of every real response', async () => {
    const { paths } = await print();
    const probes = new ProbeRegistry({ logger: false });
    let isUp = true;
    probes.register({ name: 'db', kinds: ['readiness'], check: () => isUp || Promise.reject(new NotReady('cold')) });
    // oxlint-disable-next-line typescript/no-misused-promises -- Koa's own signature
    const url = await serve(new Koa().use(probeMiddleware(probes)).callback());
    for (const accept of ['text/plain', 'application/json', 'application/health+json']) {
      for (isUp of [true, false]) {
        for (const [path, asked] of [
          ['/readyz', '/readyz'],
          ['/readyz/{name}', '/readyz/db'],
          ['/readyz/{name}', '/readyz/nobody'],
        ] as const) {
          const { status, headers } = await ask(url + asked, { headers: { accept } });
          const { content } = paths[path]?.get.responses[String(status)] ?? { content: {} };
          expect(Object.keys(content)).to.include(String(headers['content-type']).replace(/;.*/, ''));
        }
      }
    }
    closeServers();
    probes.close();
  });

  it('exits with 2 for an invalid path and an unknown argument', async () => {
    const wrong: readonly (readonly [readonly string[], RegExp])[] = [
      [
        ['--readiness-paths', '/ready/'],
        /^koa-probes: Expected the path "\/ready\/" in `paths\.readiness` to have a name and not to end with "\/"/,
      ],
      [['--readiness-paths', '/livez'], /is used twice/],
      [['--readiness-paths'], /--readiness-paths needs a value: --readiness-paths \/readyz\./],
      [
        ['--app', 'x'],
        /unknown argument "--app"\. Known arguments: --help, --version, --liveness-paths, --readiness-paths, --startup-paths\./,
      ],
    ];
    for (const [args, message] of wrong) {
      const { code, stdout, stderr } = await runCommand(['openapi', ...args]);
      expect([code, stdout]).to.deep.equal([2, '']);
      expect(stderr).to.match(message);
    }
  });
});
