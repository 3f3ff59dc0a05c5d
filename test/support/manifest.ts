import { format, resolveConfig } from 'prettier';
import { runCommand } from './command.js';
import { projectPath } from './consumer.js';

/** The lines that `koa-probes manifest` prints for a module of this project, formatted as its files are. */
export async function printManifest(module: string, args: readonly string[], env: Record<string, string> = {}): Promise<readonly string[]> {
  const { code, stdout, stderr } = await runCommand(['manifest', '--app', projectPath('build', module), ...args], { env });
  if (code !== 0) throw new Error(stderr);
  return (await format(stdout, { ...(await resolveConfig(projectPath('README.md'))), parser: 'yaml' })).split('\n');
}

/** The fields of a pod and of its container, a block of lines each, comments included. Of a list, each item is a block. */
export function splitFields(lines: readonly string[]): string[][] {
  // Of a container alone, as documents show it.
  const shift = lines.some((line) => /^\w+Probe:/.test(line)) ? '    ' : '';
  const blocks: string[][] = [];
  for (const line of lines.filter((one) => one !== '' && !one.startsWith('#')).map((one) => shift + one)) {
    if (/^ {2}- name: |^ *(containers|env|ports|volumes|volumeMounts):$/.test(line)) continue;
    if (/^(\w| {2}- | {4}\w| {6}- )/.test(line)) blocks.push([]);
    blocks.at(-1)?.push(line);
  }
  return blocks;
}

/** Whether a block stands among the lines as it is, at whatever depth. */
export function hasBlock(lines: readonly string[], block: readonly string[]): boolean {
  const [first = ''] = block;
  return lines.some((line, at) => {
    const shift = indentOf(line) - indentOf(first);
    return block.every((one, index) => {
      const other = lines[at + index] ?? '';
      return other.trim() === one.trim() && indentOf(other) - indentOf(one) === shift;
    });
  });
}

function indentOf(line: string): number {
  return line.length - line.trimStart().length;
}
