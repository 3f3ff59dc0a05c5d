import { rmSync } from 'node:fs';
import { expect } from 'chai';
import { makeProgram, readRecipes, runCommands, writeFiles } from '../support/recipes.js';

const PASSED: Readonly<Record<string, RegExp>> = {
  mocha: /2 passing/,
  vitest: /Tests +2 passed/,
  jest: /Tests: +2 passed, 2 total/,
};

const recipes = readRecipes('docs/testing.md');

describe('docs/testing.md', function () {
  this.timeout(60_000);
  let folder: string;

  beforeEach(() => (folder = makeProgram('tested')));
  afterEach(() => rmSync(folder, { recursive: true }));

  it('has a section for each framework', () => {
    expect(recipes.map(({ tool }) => tool)).to.deep.equal(Object.keys(PASSED));
  });

  for (const { tool, files, commands } of recipes) {
    it(`has a recipe for ${tool} that passes, and fails if a probe fails`, async () => {
      writeFiles(folder, files);
      const passed = await runCommands(folder, commands);
      expect(passed.output).to.match(PASSED[tool]!);
      expect(passed.code, passed.output).to.equal(0);
      const broken = Object.entries(files).map(([name, text]) => [
        name,
        text.replace('check() {', "check() {\n    throw new Error('broken');"),
      ]);
      writeFiles(folder, Object.fromEntries(broken) as Record<string, string>);
      expect((await runCommands(folder, commands)).code).not.to.equal(0);
    });
  }

  for (const { tool, files, commands } of recipes.filter((recipe) => recipe.tool !== 'mocha')) {
    it(`has a recipe for ${tool} that needs resetProbes(): without it every load adds the class again`, async () => {
      const withoutReset = Object.entries(files).map(([name, text]) => [
        name,
        text.replace('resetProbes(); ', '').replace('resetProbes();', ''),
      ]);
      writeFiles(folder, Object.fromEntries(withoutReset) as Record<string, string>);
      const { code, output } = await runCommands(folder, commands);
      expect(code).not.to.equal(0);
      expect(output).to.match(/The class SearchProbe was evaluated twice/);
    });
  }
});
