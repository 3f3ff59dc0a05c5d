import { existsSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { isError } from '../errors.js';
import type { ProbeRegistry } from '../registry/registry.js';
import type { discoverProbes } from '../discovery/discover-probes.js';
import { REGISTRY_TOKEN } from '../discovery/registry-token.js';

/** Only what another installed copy of the package has as well. */
export type AppRegistry = Pick<ProbeRegistry, 'run' | 'close' | 'list' | 'lifecycle'> & Partial<Pick<ProbeRegistry, 'serving'>>;

interface AppContainer {
  isBound(identifier: symbol): boolean;
  get(identifier: symbol): unknown;
}

/** The application cannot be used. `code` is that of the command: 2 where the command line is wrong; 1 where the application is, for the reason that is the cause. */
export class AppError extends Error {
  constructor(
    message: string,
    readonly code: 1 | 2,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The exports that are looked at, in this order. */
const EXPORTS = ['probes', 'container', 'default'] as const;

/** Imports a module, by its path or its package's name as seen from the working directory, and finds the registry that it exports. */
export async function loadRegistry(specifier: string): Promise<AppRegistry> {
  const url = locate(specifier);
  const exported = await attempt(`the module ${specifier} cannot be imported`, async () => choose(await import(url)));
  if (exported === undefined) {
    throw new AppError(
      `the module ${specifier} exports none of ${EXPORTS.join(', ')}. Export the ProbeRegistry: \`export const probes = …\`.`,
      2,
    );
  }
  const made = await attempt(`the function that ${specifier} exports has failed`, () => {
    return typeof exported === 'function' ? (exported as () => unknown)() : exported;
  });
  if (isRegistry(made)) return made;
  if (!isContainer(made)) {
    throw new AppError(`the module ${specifier} exports neither a ProbeRegistry nor a Container, nor a function that returns one.`, 2);
  }
  if (!made.isBound(REGISTRY_TOKEN)) await discover(specifier, url, made);
  return made.get(REGISTRY_TOKEN) as AppRegistry;
}

/** With the defaults of `discoverProbes`, and by the copy of the package that the application has: its own Inversify made the container. */
async function discover(specifier: string, url: string, container: AppContainer): Promise<void> {
  const probes = await attempt(`the probes of the container that ${specifier} exports cannot be discovered`, async () => {
    const own = (await import(locateOwnPackage(url))) as { discoverProbes: typeof discoverProbes };
    return own.discoverProbes(container as unknown as Parameters<typeof discoverProbes>[0]);
  });
  // It would pass without a check.
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
    // The application does not have it, but a package of its own that has the probes: all copies share the decorated classes.
    return new URL('../index.js', import.meta.url).href;
  }
}

/** A file where there is one, else what a package of the working directory exports. */
function locate(specifier: string): string {
  if (specifier.startsWith('file:')) return specifier;
  const path = resolve(specifier);
  if (existsSync(path)) return pathToFileURL(path).href;
  try {
    return pathToFileURL(createRequire(resolve('koa-probes')).resolve(specifier)).href;
  } catch (cause) {
    throw new AppError(`there is no module ${specifier} in ${process.cwd()}. Name a compiled file: --app ./dist/probes.js.`, 2, { cause });
  }
}

/** The message of what is thrown stays out of this one: it may hold the address of a database. */
async function attempt(what: string, act: () => unknown): Promise<unknown> {
  try {
    return await act();
  } catch (error) {
    const name = isError(error) && /^\w{1,50}$/.test(error.name) ? ` (${error.name})` : '';
    throw new AppError(`${what}${name}`, 1, { cause: error });
  }
}

/** A CommonJS module is its own default export, with the exports in it. */
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
