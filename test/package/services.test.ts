import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { build } from 'esbuild';
import { compile, packProject, projectPath, runNpm, startServer } from '../support/consumer.js';

interface Service {
  /** The program in test/fixtures/services. */
  readonly program: string;
  readonly dependencies: Readonly<Record<string, string>>;
  /** A line of the log for each service, and the verbose answer of its readiness. */
  readonly found: RegExp;
  readonly ready: string;
}

const withContainer = {
  program: 'with-container',
  found: /koa-probes: 4 probes: event-loop, consumer \(liveness\), tcp, search \(readiness\)/,
  ready: '[+]lifecycle ok\n[+]tcp ok\n[+]search ok\nreadyz check passed\n',
};

const services: Readonly<Record<string, Service>> = {
  'Koa 2 and Inversify 7': {
    ...withContainer,
    dependencies: { koa: '^2.16.4', '@types/koa': '^2.15.0', inversify: '^7.11.0', 'reflect-metadata': '^0.2.2' },
  },
  'Koa 3 and Inversify 8': {
    ...withContainer,
    dependencies: { koa: '^3.3.0', '@types/koa': '^3.0.3', inversify: '^8.2.3', 'reflect-metadata': '^0.2.2' },
  },
  'Koa 2 and Inversify 6.1': {
    ...withContainer,
    dependencies: { koa: '^2.16.4', '@types/koa': '^2.15.0', inversify: '~6.1.6', 'reflect-metadata': '^0.2.2' },
  },
  'Koa alone': {
    program: 'koa-alone',
    dependencies: { koa: '^3.3.0', '@types/koa': '^3.0.3' },
    found: /koa-probes: 2 probes: backlog \(readiness\), warm-up \(startup\)/,
    ready: '[+]lifecycle ok\n[+]backlog ok\nreadyz check passed\n',
  },
};

describe('a service that installs the package', function () {
  this.timeout(120_000);
  let folder: string;
  let tarball: string;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'koa-probes-services-'));
    tarball = (await packProject(folder)).path;
  });

  after(() => rmSync(folder, { recursive: true, force: true }));

  for (const [title, { program, dependencies, found, ready }] of Object.entries(services)) {
    describe(`with ${title}`, () => {
      let home: string;
      let diagnostics: string;

      before(async () => {
        home = join(folder, title.replaceAll(' ', '-'));
        await install(home, program, { ...dependencies, '@types/node': '^20.19.43', 'koa-probes': `file:${tarball}` });
        diagnostics = await compile(projectPath('node_modules', 'typescript'), ['--project', '.'], home);
      });

      it('installs without a flag, and only what it asks for', () => {
        for (const name of ['inversify', 'reflect-metadata']) {
          expect(existsSync(join(home, 'node_modules', name)), name).to.equal(name in dependencies);
        }
      });

      it('compiles strictly, the declarations of the libraries too', () => {
        expect(diagnostics).to.equal('');
      });

      it('answers its probes, and ends with 0 after SIGTERM', async () => {
        const server = await startServer(join('out', `${program}.js`), home);
        try {
          const readiness = await server.get('/readyz?verbose');
          expect(await readiness.text()).to.equal(ready);
          expect((await server.get('/livez')).status).to.equal(200);
          if (program === 'with-container') {
            await server.get('/stick');
            expect((await server.get('/livez')).status).to.equal(503);
          }
        } finally {
          expect(await server.stop(), server.output()).to.equal(0);
        }
        expect(server.output()).to.match(found);
        expect(server.output()).not.to.match(/Error|warn/i);
        if (program === 'with-container') expect(server.output()).to.include('client closed');
      });

      if (program === 'koa-alone') {
        it('is bundled with all packages, though Inversify is not among them', async () => {
          const output = join('out', 'bundled.mjs');
          await build({
            entryPoints: [join(home, 'out', `${program}.js`)],
            outfile: join(home, output),
            bundle: true,
            keepNames: true,
            platform: 'node',
            format: 'esm',
            banner: { js: "import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url);" },
            logLevel: 'error',
          });
          const server = await startServer(output, home);
          try {
            expect(await (await server.get('/readyz?verbose')).text()).to.equal(ready);
          } finally {
            expect(await server.stop(), server.output()).to.equal(0);
          }
        });
      }
    });
  }
});

async function install(home: string, program: string, dependencies: Readonly<Record<string, string>>): Promise<void> {
  mkdirSync(home);
  for (const file of [`${program}.ts`, 'tsconfig.json']) cpSync(projectPath('test', 'fixtures', 'services', file), join(home, file));
  writeFileSync(join(home, 'package.json'), JSON.stringify({ private: true, type: 'module', dependencies }));
  await runNpm(['install', '--prefer-offline', '--no-audit', '--no-fund'], home);
}
