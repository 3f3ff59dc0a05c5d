import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { projectPath } from './consumer.js';
import { start } from './processes.js';
import { once } from 'node:events';

/** What a section of the docs tells a reader to write and to run. */
export interface Recipe {
  readonly tool: string;
  readonly files: Readonly<Record<string, string>>;
  readonly commands: readonly string[];
}

/** The sections of a page that have a command. A line names each file, and the block that follows is its text. */
export function readRecipes(page: string): Recipe[] {
  const sections = readFileSync(projectPath(page), 'utf8').split(/^## /m).slice(1);
  const found = sections.map((section) => ({
    tool: section.slice(0, section.indexOf('\n')),
    files: Object.fromEntries(Array.from(section.matchAll(/^`([\w./-]+)`:\n\n```\w+\n([^]*?)^```$/gm), ([, name, text]) => [name!, text!])),
    commands: Array.from(section.matchAll(/^\$ (.+)$/gm), ([, command]) => command!),
  }));
  return found.filter(({ commands }) => commands.length > 0);
}

/** A folder with a program of test/fixtures, where the package is installed beside all that the repository has. */
export function makeProgram(fixture: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'koa-probes-program-'));
  cpSync(projectPath('test', 'fixtures', fixture), folder, { recursive: true });
  writeFiles(folder, { 'package.json': JSON.stringify({ private: true, type: 'module' }) });
  const packages = join(folder, 'node_modules');
  mkdirSync(packages);
  for (const name of readdirSync(projectPath('node_modules'))) {
    if (!name.startsWith('.')) symlinkSync(projectPath('node_modules', name), join(packages, name));
  }
  for (const part of ['dist', 'package.json']) cpSync(projectPath(part), join(packages, 'koa-probes', part), { recursive: true });
  return folder;
}

export function writeFiles(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
}

/** Runs one command after another, and resolves to what they say and how they end. */
export async function runCommands(folder: string, commands: readonly string[]): Promise<{ code: number | null; output: string }> {
  const PATH = [projectPath('node_modules', '.bin'), process.env['PATH']].join(delimiter);
  const env = { ...process.env, PATH, NO_COLOR: '1', FORCE_COLOR: undefined, NODE_EXTRA_CA_CERTS: undefined, NODE_V8_COVERAGE: undefined };
  // One pipe for both, so that the lines come in the order in which they were written.
  const child = start('sh', ['-c', `exec 2>&1; ${commands.join(' && ')}`], { cwd: folder, env });
  const [code] = (await once(child.process, 'close')) as [number | null];
  return { code, output: child.output() };
}
