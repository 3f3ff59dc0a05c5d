import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort, run, start, until } from './processes.js';

/** The folder of the package, seen from the compiled file. */
const projectFolder = fileURLToPath(new URL('../../../', import.meta.url));

export function projectPath(...parts: readonly string[]): string {
  return join(projectFolder, ...parts);
}

export interface Manifest {
  readonly version: string;
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
  readonly devDependencies: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta: Readonly<Record<string, { optional?: boolean }>>;
}

export function readManifest(): Manifest {
  return JSON.parse(readFileSync(projectPath('package.json'), 'utf8')) as Manifest;
}

/** Runs npm in a folder, and resolves to what it says. */
export function runNpm(args: readonly string[], folder: string): Promise<string> {
  return run('npm', [...args, '--silent'], { cwd: folder, env: { ...process.env, NODE_V8_COVERAGE: undefined } });
}

export interface Tarball {
  readonly path: string;
  readonly files: readonly string[];
}

/** Packs the package into that folder. */
export async function packProject(destination: string): Promise<Tarball> {
  const output = await runNpm(['pack', '--json', '--pack-destination', destination], projectPath());
  const [packed] = JSON.parse(output) as [{ filename: string; files: { path: string }[] }];
  return { path: join(destination, packed.filename), files: packed.files.map(({ path }) => path) };
}

/** Runs a program of Node to its end, and resolves to what it says. */
export function runNode(args: readonly string[], folder: string): Promise<string> {
  return run(process.execPath, args, { cwd: folder, env: quickEnvironment() });
}

/** Compiles with the TypeScript that is installed under that name or in that folder, and resolves to its diagnostics: nothing where all is well. */
export async function compile(typescript: string, args: readonly string[], folder: string): Promise<string> {
  const tsc = resolve(folder, 'node_modules', typescript, 'bin', 'tsc');
  const child = start(process.execPath, [tsc, ...args, '--pretty', 'false'], { cwd: folder, env: quickEnvironment() });
  await once(child.process, 'close');
  return child.output();
}

export interface StartedServer {
  get(path: string): Promise<Response>;
  /** All that it has said so far. */
  output(): string;
  /** Sends SIGTERM, and resolves to the exit code. */
  stop(): Promise<number | null>;
}

/** Starts a server that listens on `PORT`, and waits until it answers. */
export async function startServer(file: string, folder: string): Promise<StartedServer> {
  const port = String(await freePort());
  const child = start(process.execPath, [file], { cwd: folder, env: { ...quickEnvironment(), PORT: port } });
  const get = (path: string) => fetch(`http://127.0.0.1:${port}${path}`);
  try {
    await until<boolean | Response>(() => child.process.exitCode !== null || get('/'));
    if (child.process.exitCode !== null) throw new Error(`It ended with ${String(child.process.exitCode)}.`);
  } catch (cause) {
    await child.stop('SIGKILL');
    throw new Error(`${file} does not answer. It said:\n${child.output()}`, { cause });
  }
  return { get, output: () => child.output(), stop: () => child.stop() };
}

/** Without certificates and coverage: no child needs them, and both slow its start. */
function quickEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, NODE_EXTRA_CA_CERTS: undefined, NODE_V8_COVERAGE: undefined };
}
