import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path/posix';
import { expect } from 'chai';
import { projectPath, readManifest } from '../support/consumer.js';

interface Import {
  /** A file, as in `src/probe.ts`, or what is imported from a package. */
  readonly target: string;
  readonly isTypeOnly: boolean;
  /** By `import()`: the module is loaded when that is called, and not before. */
  readonly isLate: boolean;
}

const importsByFile = new Map(listSources().map((file) => [file, readImports(file)]));
const sources = [...importsByFile.keys()];

/** The stages in the order in which they build on one another; the files beside them are the ground of all. */
const STAGES = ['report', 'run', 'lifecycle', 'registry', 'discovery'];
/** What each folder of the rim takes beside the stages. */
const RIM: Readonly<Record<string, readonly string[]>> = {
  thread: [],
  http: ['thread'],
  koa: ['http'],
  heartbeat: ['thread'],
  worker: ['http', 'heartbeat', 'thread'],
  shutdown: [],
  cluster: ['shutdown'],
  cli: ['http', 'kubernetes'],
  kubernetes: ['http', 'shutdown'],
  telemetry: ['http'],
  probes: [],
  testing: [],
  page: ['http'],
};

const folderOf = (file: string) => (file === 'src/index.ts' ? 'index' : (/^src\/([^/]+)\//.exec(file)?.[1] ?? 'ground'));
const isStage = (file: string) => folderOf(file) === 'ground' || STAGES.includes(folderOf(file));
const core = sources.filter(isStage);

const { peerDependenciesMeta } = readManifest();
const rimPackages = ['koa', ...Object.keys(peerDependenciesMeta).filter((name) => peerDependenciesMeta[name]?.optional)];

describe('the imports in src', () => {
  it('are found', () => {
    expect(importsByFile.get('src/koa/router.ts')).to.deep.include.members([
      { target: '@koa/router', isTypeOnly: false, isLate: false },
      { target: 'koa', isTypeOnly: true, isLate: false },
      { target: 'src/koa/delivery.ts', isTypeOnly: false, isLate: false },
    ]);
    expect(sources.flatMap(importsOf).filter(({ target }) => target.endsWith('.ts') && !importsByFile.has(target))).to.deep.equal([]);
  });

  it('lead from the core to nothing but the core, and to Inversify only when there is a container', () => {
    expect(importsOf('src/discovery/inversify.ts')).to.deep.include({ target: 'inversify', isTypeOnly: false, isLate: true });
    const isOutside = (target: string) => isRimPackage(target) || (importsByFile.has(target) && !core.includes(target));
    const others = core.filter((file) => file !== 'src/discovery/inversify.ts');
    expect(importsThat((_, target) => isOutside(target), others)).to.deep.equal([]);
  });

  it('lead from a stage to the stages before it, and from a folder of the rim to the stages and what it names', () => {
    const allowed = (folder: string) => {
      const place = STAGES.indexOf(folder);
      if (folder === 'ground') return ['ground'];
      if (place !== -1) return ['ground', folder, ...STAGES.slice(0, place)];
      return ['ground', folder, ...STAGES, ...(RIM[folder] ?? [])];
    };
    const isUpward = (file: string, target: string) => importsByFile.has(target) && !allowed(folderOf(file)).includes(folderOf(target));
    const inFolders = sources.filter((file) => folderOf(file) !== 'index');
    expect(Object.keys(RIM).concat(STAGES, 'ground')).to.include.members(inFolders.map(folderOf));
    expect(importsThat(isUpward, inFolders)).to.deep.equal([]);
  });

  it('lead from a dependency of probes to no other dependency', () => {
    const dependencyOf = (file: string) => /^src\/probes\/([^/]+)\//.exec(file)?.[1];
    const isSideways = (file: string, target: string) =>
      dependencyOf(target) !== undefined && !['shared', dependencyOf(file)].includes(dependencyOf(target));
    expect(
      importsThat(
        isSideways,
        sources.filter((file) => dependencyOf(file) !== undefined),
      ),
    ).to.deep.equal([]);
  });

  it('form no circle', () => {
    const circles = sources.map((file) => findChain(file, (target) => target === file, importsOf));
    expect(circles.filter((chain) => chain !== undefined).map(show)).to.deep.equal([]);
  });

  it('load no package and no decorator from koa-probes/checks', () => {
    const isLoaded = (target: string) => (!target.endsWith('.ts') && !target.startsWith('node:')) || target.endsWith('/decorators.ts');
    const chain = findChain('src/probes/checks.ts', isLoaded, earlyImportsOf);
    expect(chain === undefined ? [] : [show(chain)]).to.deep.equal([]);
  });

  for (const name of rimPackages) {
    it(`do not load ${name} from the entry point`, () => {
      const chain = findChain('src/index.ts', (target) => isFromPackage(target, name), earlyImportsOf);
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
    isLate: groups['called'] !== undefined,
  }));
}

function resolveSpecifier(from: string, specifier: string): string {
  return specifier.startsWith('.') ? join(dirname(from), specifier).replace(/\.js$/, '.ts') : specifier;
}

function importsThat(isWrong: (file: string, target: string) => boolean, files: readonly string[]): string[] {
  return files.flatMap((file) =>
    importsOf(file)
      .filter(({ target }) => isWrong(file, target))
      .map(({ target }) => show([file, target])),
  );
}

function importsOf(file: string): readonly Import[] {
  return importsByFile.get(file) ?? [];
}

function earlyImportsOf(file: string): readonly Import[] {
  return importsOf(file).filter(({ isTypeOnly, isLate }) => !isTypeOnly && !isLate);
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
