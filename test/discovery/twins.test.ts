import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { projectPath } from '../support/consumer.js';
import { run } from '../support/processes.js';

describe('discoverProbes() when two probes have one name', () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(fileURLToPath(new URL('.', import.meta.url)), 'twins-'))));
  afterEach(() => rmSync(folder, { recursive: true }));

  const write = (files: Readonly<Record<string, string>>) => {
    for (const [name, source] of Object.entries(files)) writeFileSync(join(folder, name), source);
  };
  /** What a program of its own says of the problem. */
  const messageOf = async (body: string, extension = 'mjs'): Promise<string> => {
    const discover =
      'discoverProbes(undefined, { logger: false }).then(() => console.log("no problem"), ({ name, message }) => console.log(name + ": " + message));';
    write({ [`main.${extension}`]: `${body}\n${discover}` });
    return run(process.execPath, ['--no-warnings', join(folder, `main.${extension}`)], {
      env: { ...process.env, NODE_EXTRA_CA_CERTS: undefined, NODE_V8_COVERAGE: undefined },
    });
  };
  const probeModule = (name = 'SearchProbe', decorators = 'koa-probes') =>
    `import { ReadinessProbe } from '${decorators}';\nexport class ${name} { check() {} }\nReadinessProbe()(${name});\n`;
  const imports = (...names: readonly string[]) =>
    [`import { discoverProbes } from 'koa-probes';`, ...names.map((name) => `import './${name}';`)].join('\n');

  it('says that they are two classes, and where they stand', async () => {
    write({ 'one.mjs': probeModule(), 'two.mjs': probeModule() });
    expect(await messageOf(imports('one.mjs', 'two.mjs'))).to.match(
      /^ConfigurationError: SearchProbe and SearchProbe are both named "search"\. Give one of them a name of its own.*two classes, decorated at \S+one\.mjs:3:17 and at \S+two\.mjs:3:17\.\n$/,
    );
  });

  it('tells of a minifier where that has made the names up', async () => {
    write({ 'one.mjs': probeModule('r'), 'two.mjs': probeModule('r') });
    const message = await messageOf(imports('one.mjs', 'two.mjs'));
    expect(message).to.match(
      /r and r are both named "r".*A minifier has made such class names up: keep them in the build \(`keepNames: true`/,
    );
    expect(message).not.to.include('evaluated twice');
  });

  it('tells two minified classes of one bundle apart', async () => {
    // One helper for both, as in the output of esbuild.
    const bundle = `import { ReadinessProbe } from 'koa-probes'; var d=(e,t)=>{for(const n of e)n(t)};{let r=class{check(){}};d([ReadinessProbe()],r)}{let r=class{check(){}};d([ReadinessProbe()],r)}`;
    write({ 'bundle.mjs': bundle });
    expect(await messageOf(imports('bundle.mjs'))).to.match(/r and r are both named "r".*They are two classes/);
  });

  it('says that a class was evaluated twice where its module was loaded again by require()', async () => {
    write({
      'search.cjs': `const { ReadinessProbe } = require('koa-probes');\nclass SearchProbe { check() {} }\nReadinessProbe()(SearchProbe);`,
    });
    const reload = `const { discoverProbes } = require('koa-probes'); require('./search.cjs'); delete require.cache[require.resolve('./search.cjs')]; require('./search.cjs');`;
    expect(await messageOf(reload, 'cjs')).to.match(
      /^ConfigurationError: The class SearchProbe was evaluated twice, and both are named "search" at \S+search\.cjs:3:17: its module was loaded again \(hot reload, `vi\.resetModules\(\)`.*`resetProbes\(\)` of koa-probes\/testing.*`classes`\.\n$/,
    );
  });

  it('says that a class was evaluated twice where its module was imported again under another query', async () => {
    write({ 'search.mjs': probeModule() });
    const message = await messageOf(`${imports('search.mjs?t=1')}\nimport './search.mjs?t=2';`);
    expect(message).to.match(/The class SearchProbe was evaluated twice/);
  });

  it('says that two copies of koa-probes are installed', async () => {
    const copy = new URL('./discovery/decorators.js?copy', import.meta.resolve('koa-probes')).href;
    write({ 'one.mjs': probeModule(), 'two.mjs': probeModule('SearchProbe', copy) });
    expect(await messageOf(imports('one.mjs', 'two.mjs'))).to.match(
      /^ConfigurationError: Two installed copies of koa-probes have each decorated a class SearchProbe, and both are named "search"\. The copies are \S+decorators\.js:\d+:\d+ and \S+decorators\.js\?copy:\d+:\d+\. Run `npm ls koa-probes`/,
    );
  });

  it('says that two copies are installed where each has its own bundled probe', async () => {
    for (const place of ['node_modules/koa-probes', 'node_modules/library/node_modules/koa-probes']) {
      for (const part of ['dist', 'package.json']) cpSync(projectPath(part), join(folder, place, part), { recursive: true });
    }
    write({
      'package.json': '{"type":"module"}',
      'node_modules/library/package.json': '{"type":"module","exports":"./index.js"}',
      'node_modules/library/index.js': `import 'koa-probes/tcp';`,
    });
    expect(await messageOf(`import { discoverProbes } from 'koa-probes'; import 'koa-probes/tcp'; import 'library';`)).to.match(
      /^ConfigurationError: Two installed copies of koa-probes have each decorated a class TcpProbe.*node_modules\/koa-probes\/dist.*node_modules\/library\/node_modules\/koa-probes\/dist.*npm ls koa-probes/,
    );
  });

  it('compares the source where there is no stack', async () => {
    write({
      'search.cjs': `const { ReadinessProbe } = require('koa-probes'); class SearchProbe { check() {} } ReadinessProbe()(SearchProbe);`,
      'other.cjs': `const { ReadinessProbe } = require('koa-probes'); class SearchProbe { check() { return true; } } ReadinessProbe()(SearchProbe);`,
    });
    const start = `Error.stackTraceLimit = 0; const { discoverProbes } = require('koa-probes'); require('./search.cjs');`;
    const reload = `delete require.cache[require.resolve('./search.cjs')]; require('./search.cjs');`;
    expect(await messageOf(start + reload, 'cjs')).to.include('evaluated twice');
    expect(await messageOf(`${start} require('./other.cjs');`, 'cjs')).to.include('They are two classes');
  });

  it('finds the class that was loaded last after resetProbes()', async () => {
    write({ 'search.mjs': probeModule() });
    const source = `import { discoverProbes } from 'koa-probes'; import { resetProbes } from 'koa-probes/testing'; await import('./search.mjs?t=1'); resetProbes(); await import('./search.mjs?t=2');`;
    expect(await messageOf(source)).to.equal('no problem\n');
  });
});
