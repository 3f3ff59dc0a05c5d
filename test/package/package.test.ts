import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import { expect } from 'chai';
import { compile, packProject, projectPath, readManifest, runNode, runNpm, startServer, type Tarball } from '../support/consumer.js';
import { run } from '../support/processes.js';

const compilers = { ts59: '5.9', ts6: '6', ts7: '7' };
type Compiler = keyof typeof compilers;

const manifest = readManifest();
const entryPoints = Object.keys(manifest.exports).filter((path) => !path.endsWith('.json'));
const specifiers = entryPoints.map((path) => path.replace(/^\./, 'koa-probes'));

describe('the package', function () {
  this.timeout(120_000);
  let folder: string;
  let tarball: Tarball;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'koa-probes-package-'));
    tarball = await packProject(folder);
  });

  after(() => rmSync(folder, { recursive: true, force: true }));

  describe('packed', () => {
    it('holds every file that `exports` names', () => {
      const named = Object.values(manifest.exports).flatMap((target) => (typeof target === 'string' ? [target] : Object.values(target)));
      expect(tarball.files).to.include.members(named.map((path) => path.replace(/^\.\//, '')));
    });

    for (const file of ['LICENSE', 'README.md', 'CHANGELOG.md']) {
      it(`holds ${file}`, () => expect(tarball.files).to.include(file));
    }

    it('holds a declaration, and the source that both maps name, for every module', () => {
      const modules = tarball.files
        .filter((path) => path.startsWith('dist/') && path.endsWith('.js'))
        .map((path) => path.slice('dist/'.length, -'.js'.length));
      expect(modules).to.include('index');
      expect(tarball.files).to.include.members(modules.flatMap((module) => [`dist/${module}.d.ts`, `src/${module}.ts`]));
    });

    it('holds nothing else: no tests, no settings, no state of a build', () => {
      const code = String.raw`src/.+\.c?ts|dist/.+(\.c?js|\.d\.c?ts)(\.map)?`;
      const documents = String.raw`docs/[\w-]+\.(md|svg|png)|examples/[\w-]+/([\w.-]+\.(ts|cjs|yaml|json|md)|Dockerfile)|bench/README\.md`;
      const expected = new RegExp(`^(LICENSE|README\\.md|CHANGELOG\\.md|package\\.json|schemas/[\\w.]+\\.json|${code}|${documents})$`);
      expect(tarball.files.filter((path) => !expected.test(path))).to.deep.equal([]);
      expect(tarball.files.filter((path) => /(^|\/)tests?\/|\.test\.(d\.)?[cm]?[jt]s/.test(path))).to.deep.equal([]);
    });

    it('has a target for every link of its documents, and a heading for every anchor', () => {
      const pages = tarball.files.filter((path) => path.endsWith('.md'));
      expect(pages).to.include.members(['README.md', 'docs/discovery.md']);
      expect(pages.flatMap((page) => brokenLinks(page, tarball.files))).to.deep.equal([]);
    });
  });

  describe('installed', () => {
    let diagnostics: Readonly<Record<Compiler, string>>;

    before(async () => {
      await installConsumer(folder, tarball);
      writeFileSync(join(folder, 'server.ts'), readFirstProgram());
      diagnostics = await compileWithAll(folder);
    });

    for (const [compiler, version] of Object.entries(compilers) as [Compiler, string][]) {
      describe(`compiled by TypeScript ${version}`, () => {
        it("takes the README's first program and every declaration without a diagnostic", () => {
          expect(diagnostics[compiler]).to.equal('');
        });

        it('prints its pod spec by the command', async () => {
          const command = join(folder, 'node_modules/.bin/koa-probes');
          const printed = await run(command, ['manifest', '--app', join(folder, compiler, 'server.js')], { cwd: folder });
          expect(printed).to.include('# the slowest readiness probe, database, has 800 ms, and 100 ms to answer\n');
        });

        it('answers the probes', async () => {
          const server = await startServer(join(compiler, 'server.js'), folder);
          try {
            const readiness = await server.get('/readyz?verbose');
            expect(await readiness.text()).to.match(/^\[\+\]database ok$/m);
            expect(readiness.status).to.equal(200);
            expect((await server.get('/livez')).status).to.equal(200);
          } finally {
            await server.stop();
          }
        });
      });
    }

    describe('in plain JavaScript', () => {
      it('finds a probe from a module', async () => {
        expect(await runNode(['imports.js'], folder)).to.equal('pass lifecycle,plain\n');
      });

      it('has the command', async () => {
        expect(await run(join(folder, 'node_modules/.bin/koa-probes'), ['--version'])).to.equal(`${manifest.version}\n`);
      });

      it('finds a probe from a CommonJS script', async () => {
        expect(await runNode(['--no-warnings', 'requires.cjs'], folder)).to.equal('pass lifecycle,plain\n');
      });

      for (const specifier of specifiers) {
        it(`imports and requires ${specifier} as one and the same module`, async () => {
          const script = `import('${specifier}').then((imported) => console.log(imported === require('${specifier}')))`;
          expect(await runNode(['--no-warnings', '--eval', script], folder)).to.equal('true\n');
        });
      }
    });
  });
});

async function installConsumer(folder: string, tarball: Tarball): Promise<void> {
  cpSync(projectPath('test', 'fixtures', 'consumer'), folder, { recursive: true });
  writeFileSync(
    join(folder, 'every-export.ts'),
    specifiers.map((specifier, index) => `export * as export${String(index)} from '${specifier}';\n`).join(''),
  );
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ private: true, type: 'module', dependencies: consumerDependencies(tarball) }),
  );
  await runNpm(['install', '--prefer-offline', '--no-audit', '--no-fund'], folder);
}

/** The package with all of its peers and their types, and the compilers side by side. */
function consumerDependencies(tarball: Tarball): Record<string, string> {
  const peers = Object.keys(manifest.peerDependencies);
  const wanted = new Set([...peers, ...peers.map((name) => `@types/${name}`), '@types/node', 'better-sqlite3']);
  return {
    ...Object.fromEntries(Object.entries(manifest.devDependencies).filter(([name]) => wanted.has(name))),
    ...Object.fromEntries(Object.entries(compilers).map(([name, version]) => [name, `npm:typescript@${version}`])),
    'koa-probes': `file:${tarball.path}`,
  };
}

/** The links of a page that lead nowhere in the package. */
function brokenLinks(page: string, files: readonly string[]): string[] {
  const links = Array.from(readFileSync(projectPath(page), 'utf8').matchAll(/\]\(([^)\s]+)\)/g), ([, link]) => link!);
  return links
    .filter((link) => !link.startsWith('https:'))
    .filter((link) => {
      const [path = '', anchor] = link.split('#');
      const target = path === '' ? page : posix.join(posix.dirname(page), path);
      if (!files.some((file) => file === target || file.startsWith(`${target}/`))) return true;
      return anchor !== undefined && !anchorsOf(target).includes(anchor);
    })
    .map((link) => `${page}: ${link}`);
}

/** As GitHub and npm make them of headings. */
function anchorsOf(page: string): string[] {
  const headings = Array.from(readFileSync(projectPath(page), 'utf8').matchAll(/^#+ (.+)$/gm), ([, heading]) => heading!);
  return headings.map((heading) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

function readFirstProgram(): string {
  const [, program] = /^```ts\n(.*?)^```$/ms.exec(readFileSync(projectPath('README.md'), 'utf8')) ?? [];
  if (program === undefined) throw new Error('README.md has no block of TypeScript.');
  return program;
}

/** Two at a time: TypeScript 5.9 takes about as long as the other two together. */
async function compileWithAll(folder: string): Promise<Record<Compiler, string>> {
  const compileWith = (compiler: Compiler) => compile(compiler, ['--project', '.', '--outDir', compiler], folder);
  const slowest = compileWith('ts59');
  const ts6 = await compileWith('ts6');
  const ts7 = await compileWith('ts7');
  return { ts59: await slowest, ts6, ts7 };
}
