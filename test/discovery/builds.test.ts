import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { projectPath } from '../support/consumer.js';
import { makeProgram, readRecipes, runCommands, writeFiles, type Recipe } from '../support/recipes.js';

const TOOLS = ['esbuild', 'tsup', 'webpack', 'swc', 'tsx', 'Vite'];

const FOUND = /^koa-probes: 2 probes: queue, search \(readiness\)\nlifecycle pass, queue pass, search pass\n$/m;

/** Of webpack, the greater part of the time. */
const withoutMinifier = (files: Recipe['files']) =>
  Object.fromEntries(Object.entries(files).map(([name, text]) => [name, text.replace(/minimizer: \[.*\]/, 'minimize: false')]));

const recipes = readRecipes('docs/bundlers.md');

describe('docs/bundlers.md', function () {
  this.timeout(60_000);
  let folder: string;

  beforeEach(() => (folder = makeProgram('bundled')));
  afterEach(() => rmSync(folder, { recursive: true }));

  it('has a section for each tool', () => {
    expect(recipes.map(({ tool }) => tool)).to.deep.equal(TOOLS);
  });

  for (const { tool, files, commands } of recipes) {
    describe(tool, () => {
      it('builds a program that finds its probes by their names, without a warning', async () => {
        writeFiles(folder, files);
        const output = await runAll(folder, commands);
        expect(output).to.match(FOUND);
        expect(output).not.to.match(/warn|look as if/i);
      });

      it('logs a warning if the import of a probe is used only as a type', async () => {
        writeFiles(folder, {
          ...withoutMinifier(files),
          'src/main.ts': mainWith(`import { QueueProbe } from './queue-probe.js';\nlet last: QueueProbe | undefined;`),
        });
        expect(await runAll(folder, commands)).to.match(/^koa-probes: no probes were found.*used only as a type.*\n0$/m);
      });
    });
  }

  for (const { tool, files, commands } of recipes.filter((recipe) => ['esbuild', 'webpack', 'tsup', 'Vite'].includes(recipe.tool))) {
    it(`describes how ${tool} drops a bare import with \`sideEffects: false\``, async () => {
      const manifest = (sideEffects: unknown) => JSON.stringify({ private: true, type: 'module', sideEffects });
      writeFiles(folder, {
        ...withoutMinifier(files),
        'src/main.ts': mainWith(`import './queue-probe.js';`),
        'package.json': manifest(false),
      });
      expect(await runAll(folder, commands)).to.match(/^koa-probes: no probes were found.*`sideEffects: false`.*\n0$/m);
      writeFiles(folder, { 'package.json': manifest(['./src/**/*-probe.ts']) });
      expect(await runAll(folder, commands)).to.match(/^koa-probes: 1 probe: queue \(readiness\)\n1$/m);
    });
  }

  for (const [title, change, name] of [
    [
      'minifies the names',
      'keepNames: false',
      /^koa-probes: the class names `\w{1,2}`, `\w{1,2}` look as if a minifier or a bundler had generated them.*keepNames/m,
    ],
    [
      'numbers a name',
      'minify: false, keepNames: false',
      /^koa-probes: the class names `QueueProbe2` look as if .* named after these classes, `queue-probe2`/m,
    ],
  ] as const) {
    it(`leads to a warning if esbuild ${title}`, async () => {
      const [{ files, commands } = {} as Recipe] = recipes;
      const script = files['esbuild.mjs']!.replace('keepNames: true', change);
      writeFiles(folder, { ...files, 'esbuild.mjs': script });
      expect(await runAll(folder, commands)).to.match(name);
    });
  }

  it('builds an esbuild bundle with all packages, which runs without node_modules', async () => {
    const [{ files } = {} as Recipe] = recipes;
    const [, banner] = /`(banner: \{.*\})`/.exec(readFileSync(projectPath('docs/bundlers.md'), 'utf8'))!;
    const script = files['esbuild.mjs']!.replace(/packages: 'external',.*/, `${banner!},`);
    const elsewhere = mkdtempSync(join(tmpdir(), 'koa-probes-elsewhere-'));
    try {
      writeFiles(folder, { 'esbuild.mjs': script });
      await runAll(folder, ['node esbuild.mjs']);
      cpSync(join(folder, 'dist', 'main.mjs'), join(elsewhere, 'main.mjs'));
      expect(await runAll(elsewhere, ['node main.mjs'])).to.match(FOUND);
    } finally {
      rmSync(elsewhere, { recursive: true });
    }
  });
});

function mainWith(imports: string): string {
  return `${imports}\nimport { discoverProbes } from 'koa-probes';\nconst probes = await discoverProbes();\nconst { results } = await probes.run('readiness');\nprobes.close();\nconsole.log(results.length - 1);\n`;
}

async function runAll(folder: string, commands: readonly string[]): Promise<string> {
  const { code, output } = await runCommands(folder, commands);
  expect(code, output).to.equal(0);
  return output;
}
