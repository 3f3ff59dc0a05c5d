import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { makeProgram, readRecipes, runCommands, writeFiles } from '../support/recipes.js';

/** Says by what it was blocked, and ends. */
const MAIN = `
import { ProbeRegistry, probeServer } from 'koa-probes';
const probes = new ProbeRegistry({ logger: false });
const server = await probeServer(probes, { port: 0, thread: true, notReadyAfterMs: 200 });
const { status } = await fetch(\`http://127.0.0.1:\${String((server.address() as { port: number }).port)}/readyz\`);
function blockHere(ms: number) {
  const endsAt = performance.now() + ms;
  while (performance.now() < endsAt);
  return endsAt;
}
probes.once('block', ({ by }) => {
  console.log(status, by);
  process.exit();
});
setTimeout(() => console.log(blockHere(1_000) > 0));
setInterval(() => {}, 1_000_000);
`;

const BANNER = `{ js: "import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url);" }`;

const recipes = readRecipes('docs/bundlers.md');

describe('a thread in an application that is bundled', function () {
  this.timeout(60_000);
  let folder: string;
  beforeEach(() => (folder = makeProgram('bundled')));
  afterEach(() => rmSync(folder, { recursive: true }));

  for (const [tool, change] of [
    ['esbuild', (script: string) => script.replace(/packages: 'external',.*/, `banner: ${BANNER},`)],
    ['webpack', (script: string) => script],
  ] as const) {
    it(`needs no file but the bundle: ${tool}, minified, with all packages in it`, async () => {
      const { files, commands } = recipes.find((recipe) => recipe.tool === tool)!;
      const elsewhere = mkdtempSync(join(tmpdir(), 'koa-probes-elsewhere-'));
      try {
        writeFiles(folder, { ...files, [`${tool}.mjs`]: change(files[`${tool}.mjs`]!), 'src/main.ts': MAIN });
        const built = await runCommands(folder, commands.slice(0, 1));
        expect(built.code, built.output).to.equal(0);
        cpSync(join(folder, 'dist', 'main.mjs'), join(elsewhere, 'main.mjs'));
        expect(readdirSync(elsewhere)).to.deep.equal(['main.mjs']);
        const { output } = await runCommands(elsewhere, ['node main.mjs']);
        expect(output).to.match(/^true\n200 .*\(?main\.mjs:\d+:\d+\)?\n$/);
      } finally {
        rmSync(elsewhere, { recursive: true });
      }
    });
  }
});
