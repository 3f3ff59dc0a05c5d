import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path/posix';
import { expect } from 'chai';
import { projectPath, readManifest } from './support/consumer.js';

interface Import {
  /** A file, as in `src/probe.ts`, or what is imported from a package. */
  readonly target: string;
  readonly isTypeOnly: boolean;
}

const importsByFile = new Map(listSources().map((file) => [file, readImports(file)]));
const sources = [...importsByFile.keys()];
const core = sources.filter((file) => file !== 'src/index.ts' && /^src\/(render\/)?[^/]+$/.test(file));

const { peerDependenciesMeta } = readManifest();
const rimPackages = ['koa', ...Object.keys(peerDependenciesMeta).filter((name) => peerDependenciesMeta[name]?.optional)];

describe('the imports in src', () => {
  it('are found', () => {
    expect(importsByFile.get('src/koa/router.ts')).to.deep.include.members([
      { target: '@koa/router', isTypeOnly: false },
      { target: 'koa', isTypeOnly: true },
      { target: 'src/koa/probe-middleware.ts', isTypeOnly: false },
    ]);
    expect(sources.flatMap(importsOf).filter(({ target }) => target.endsWith('.ts') && !importsByFile.has(target))).to.deep.equal([]);
  });

  it('lead from the core to nothing but the core', () => {
    const isOutside = (target: string) => isRimPackage(target) || (importsByFile.has(target) && !core.includes(target));
    const chains = core.flatMap((file) =>
      importsOf(file)
        .filter(({ target }) => isOutside(target))
        .map(({ target }) => [file, target]),
    );
    expect(chains.map(show)).to.deep.equal([]);
  });

  it('form no circle', () => {
    const circles = sources.map((file) => findChain(file, (target) => target === file, importsOf));
    expect(circles.filter((chain) => chain !== undefined).map(show)).to.deep.equal([]);
  });

  for (const name of rimPackages) {
    it(`do not load ${name} from the entry point`, () => {
      const chain = findChain('src/index.ts', (target) => isFromPackage(target, name), valueImportsOf);
      expect(chain === undefined ? [] : [show(chain)]).to.deep.equal([]);
    });
  }
});

function listSources(): string[] {
  return readdirSync(projectPath('src'), { recursive: true, encoding: 'utf8' })
    .map((file) => join('src', file.replaceAll('\\', '/')))
    .filter((file) => file.endsWith('.ts'));
}

/** A statement at the beginning of a line, or a call of `import()` anywhere. An `export` without `from` has an `=`, a `(` or a `;` before its first quote. */
function readImports(file: string): Import[] {
  const statement = /^(?:import|export)\s+(?<type>type\s)?(?:[^'"=();]*\sfrom\s+)?'(?<name>[^']+)'|\bimport\(\s*'(?<called>[^']+)'/gm;
  return [...readFileSync(projectPath(file), 'utf8').matchAll(statement)].map(({ groups = {} }) => ({
    target: resolveSpecifier(file, (groups['name'] ?? groups['called'])!),
    isTypeOnly: groups['type'] !== undefined,
  }));
}

function resolveSpecifier(from: string, specifier: string): string {
  return specifier.startsWith('.') ? join(dirname(from), specifier).replace(/\.js$/, '.ts') : specifier;
}

function importsOf(file: string): readonly Import[] {
  return importsByFile.get(file) ?? [];
}

function valueImportsOf(file: string): readonly Import[] {
  return importsOf(file).filter(({ isTypeOnly }) => !isTypeOnly);
}

/** The shortest way from one file to a target, at least one step long. */
function findChain(from: string, isTarget: (target: string) => boolean, next: (file: string) => readonly Import[]): string[] | undefined {
  const seen = new Set<string>();
  const chains = [[from]];
  for (const chain of chains) {
    for (const { target } of next(chain.at(-1)!)) {
      if (isTarget(target)) return [...chain, target];
      if (seen.has(target)) continue;
      seen.add(target);
      chains.push([...chain, target]);
    }
  }
  return undefined;
}

function isRimPackage(target: string): boolean {
  return rimPackages.some((name) => isFromPackage(target, name));
}

function isFromPackage(target: string, name: string): boolean {
  return target === name || target.startsWith(`${name}/`);
}

function show(chain: readonly string[]): string {
  return chain.join(' → ');
}
