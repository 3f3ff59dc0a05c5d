import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { projectPath } from '../support/consumer.js';
import { start } from '../support/processes.js';

/** The packages that stand in for those of the repository, under the names of their `devDependencies`. */
const combinations = {
  'Koa 2 and Inversify 7': { koa: 'koa-2', inversify: 'inversify-7' },
  'Koa 3 and Inversify 6': { koa: 'koa', inversify: 'inversify-6' },
} as const;

const TESTS = [
  ...['announcement', 'bindings', 'discover-probes', 'inherited-injections'].map((name) => `discovery/${name}`),
  'shutdown/graceful-shutdown',
  'koa/probe-middleware',
];

for (const [title, replaced] of Object.entries(combinations)) {
  describe(`with ${title}`, function () {
    this.timeout(180_000);
    let folder: string;

    before(() => {
      folder = mkdtempSync(join(tmpdir(), 'koa-probes-major-'));
      copyBuild(folder, replaced);
    });

    after(() => rmSync(folder, { recursive: true }));

    it('passes the tests of discovery, of the shutdown and of the middleware', async () => {
      const files = TESTS.map((name) => join('build', 'test', `${name}.test.js`));
      const mocha = join('node_modules', 'mocha', 'bin', 'mocha.js');
      const child = start(process.execPath, [mocha, '--no-config', '--reporter', 'dot', '--timeout', '30000', ...files], {
        cwd: folder,
        env: { ...process.env, NODE_EXTRA_CA_CERTS: undefined, NODE_V8_COVERAGE: undefined },
      });
      const [code] = (await once(child.process, 'close')) as [number | null];
      expect(code, child.output()).to.equal(0);
      expect(child.output()).to.match(/^ *\d{3} passing/m);
    });
  });
}

/** What was built, in a folder with packages of its own: each is the one of the repository, but for those that are replaced. */
function copyBuild(folder: string, replaced: Readonly<Record<string, string>>): void {
  for (const part of ['build', 'dist', 'package.json']) cpSync(projectPath(part), join(folder, part), { recursive: true });
  const packages = join(folder, 'node_modules');
  mkdirSync(packages);
  for (const name of readdirSync(projectPath('node_modules'))) {
    if (name.startsWith('.')) continue;
    symlinkSync(projectPath('node_modules', replaced[name] ?? name), join(packages, name));
  }
}
