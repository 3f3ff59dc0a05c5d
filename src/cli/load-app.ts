import { existsSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { isError } from '../errors.js';
import type { ProbeRegistry } from '../registry/registry.js';
import type { discoverProbes } from '../discovery/discover-probes.js';
import { REGISTRY_TOKEN } from '../discovery/registry-token.js';

/** The part of a registry that other installed copies of the package have too. */
export type AppRegistry = Pick<ProbeRegistry, 'run' | 'close' | 'list' | 'lifecycle'> & Partial<Pick<ProbeRegistry, 'serving'>>;

interface AppContainer {
  isBound(identifier: symbol): boolean;
  get(identifier: symbol): unknown;
}

/** The application cannot be used. `code` is the exit code of the command: 2 if the command line is wrong, 1 if the application has failed. In the second case, `cause` is the reason. */
export class AppError extends Error {
  constructor(
    message: string,
    readonly code: 1 | 2,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The exports that are checked, in this order. */
const EXPORTS = ['probes', 'container', 'default'] as const;

/** Imports a module and finds the registry that it exports. The module is a path, or the name of a package as seen from the working directory. */
export async function loadRegistry(specifier: string): Promise<AppRegistry> {
  const url = locate(specifier);
  const exported = await attempt(`the module ${specifier} cannot be imported`, async () => choose(await import(url)));
  if (exported === undefined) {
    throw new AppError(
      `the module ${specifier} exports none of ${EXPORTS.join(', ')}. Export the ProbeRegistry: \`export const probes = …\`.`,
      2,
    );
  }
  const made = await attempt(`the function that ${specifier} exports failed`, () => {
    return typeof exported === 'function' ? (exported as () => unknown)() : exported;
  });
  if (isRegistry(made)) return made;
  if (!isContainer(made)) {
    throw new AppError(`the module ${specifier} exports neither a ProbeRegistry nor a Container, nor a function that returns one.`, 2);
  }
  if (!made.isBound(REGISTRY_TOKEN)) await discover(specifier, url, made);
  return made.get(REGISTRY_TOKEN) as AppRegistry;
}

/** Uses the defaults of `discoverProbes`, and the application's own copy of the package, because its Inversify has created the container. */
async function discover(specifier: string, url: string, container: AppContainer): Promise<void> {
  const probes = await attempt(`the probes of the container that ${specifier} exports cannot be discovered`, async () => {
    const own = (await import(locateOwnPackage(url))) as { discoverProbes: typeof discoverProbes };
    return own.discoverProbes(container as unknown as Parameters<typeof discoverProbes>[0]);
  });
  // An application without probes would pass without a check.
  if ((probes as AppRegistry).list().length > 0) return;
  throw new AppError(
    `the container that ${specifier} exports has no ProbeRegistry. Call \`await discoverProbes(container)\` first. No class with a probe decorator was found either: import the modules of the probes in ${specifier}.`,
    2,
  );
}

function locateOwnPackage(url: string): string {
  try {
    return pathToFileURL(createRequire(realpathSync(fileURLToPath(url))).resolve('koa-probes')).href;
  } catch {
    // The application does not depend on the package itself, but one of its own packages does. All copies share the decorated classes.
    return new URL('../index.js', import.meta.url).href;
  }
}

/** Returns the URL of a file if it exists, or else of a package as seen from the working directory. */
function locate(specifier: string): string {
  if (specifier.startsWith('file:')) return specifier;
  const path = resolve(specifier);
  if (existsSync(path)) return pathToFileURL(path).href;
  try {
    return pathToFileURL(createRequire(resolve('koa-probes')).resolve(specifier)).href;
  } catch (cause) {
    throw new AppError(`the module ${specifier} was not found in ${process.cwd()}. Use a compiled file: --app ./dist/probes.js.`, 2, {
      cause,
    });
  }
}

/** The message does not include that of the thrown error, because it may contain the address of a database. */
async function attempt(what: string, act: () => unknown): Promise<unknown> {
  try {
    return await act();
  } catch (error) {
    const name = isError(error) && /^\w{1,50}$/.test(error.name) ? ` (${error.name})` : '';
    throw new AppError(`${what}${name}`, 1, { cause: error });
  }
}

/** Chooses the export. For a CommonJS module, the default export is the object with all exports. */
function choose(exports: unknown): unknown {
  const found = pick(exports);
  if (typeof found !== 'object' || found === null || isRegistry(found) || isContainer(found)) return found;
  return pick(found) ?? found;
}

function pick(exports: unknown): unknown {
  return EXPORTS.map((name) => (exports as Record<string, unknown>)[name]).find((value) => value !== undefined && value !== null);
}

function isRegistry(value: unknown): value is AppRegistry {
  return hasMethods(value, 'run', 'close', 'register');
}

function isContainer(value: unknown): value is AppContainer {
  return hasMethods(value, 'get', 'isBound', 'bind');
}

function hasMethods(value: unknown, ...names: readonly string[]): boolean {
  return (
    typeof value === 'object' && value !== null && names.every((name) => typeof (value as Record<string, unknown>)[name] === 'function')
  );
}
