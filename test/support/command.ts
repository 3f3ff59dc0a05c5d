import { once } from 'node:events';
import { spawn, type SpawnOptions } from 'node:child_process';
import { projectPath } from './consumer.js';

export const COMMAND = projectPath('dist', 'cli', 'bin.cjs');

export interface CommandResult {
  /** The exit code, or the signal that ended it. */
  readonly code: number | NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly durationMs: number;
}

/** Runs `koa-probes` to its end, in an environment of nothing but `env`. */
export async function runCommand(
  args: readonly string[],
  { env = {}, flags = [], ...options }: Omit<SpawnOptions, 'env'> & { env?: Record<string, string>; flags?: readonly string[] } = {},
): Promise<CommandResult> {
  const { PATH, NODE_V8_COVERAGE } = process.env;
  const startedAt = performance.now();
  const child = spawn(process.execPath, [...flags, COMMAND, ...args], {
    ...options,
    env: { PATH, NODE_V8_COVERAGE, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return { code: code ?? signal, stdout, stderr, durationMs: performance.now() - startedAt };
}
