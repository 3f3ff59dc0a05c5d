import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

const running = new Set<ChildProcess>();
process.once('exit', () => running.forEach((child) => child.kill('SIGKILL')));

/** A child that does not outlive this process. Its output is kept for the message of a failure. */
export interface Child {
  readonly process: ChildProcess;
  output(): string;
  /** Sends the signal and resolves to the exit code when the process is gone. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

export function start(command: string, args: readonly string[], options: SpawnOptions = {}): Child {
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = once(child, 'exit');
  let output = '';
  child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  running.add(child);
  child.once('exit', () => running.delete(child));
  return {
    process: child,
    output: () => output,
    async stop(signal = 'SIGTERM') {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill(signal);
        await exited;
      }
      return child.exitCode;
    },
  };
}

/** Runs a command to its end. */
export async function run(command: string, args: readonly string[], options: SpawnOptions = {}): Promise<string> {
  const child = start(command, args, options);
  const [code] = (await once(child.process, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${String(code)}:\n${child.output()}`);
  return child.output();
}

/** A program of Node, with a start that is not slowed by certificates that it does not need. */
export function startNode(file: string, env: Record<string, string> = {}, options: SpawnOptions = {}, args: readonly string[] = []): Child {
  return start(process.execPath, [file, ...args], {
    ...options,
    env: { ...process.env, NODE_EXTRA_CA_CERTS: undefined, NODE_V8_COVERAGE: undefined, ...env },
  });
}

/** Waits for a condition, and fails with its last error when it does not come. */
export async function until<T>(condition: () => T | Promise<T>, withinMs = 15_000): Promise<Exclude<T, null | undefined | false>> {
  const endsAt = performance.now() + withinMs;
  let problem: unknown;
  do {
    try {
      const value = await condition();
      if (value !== undefined && value !== null && value !== false) return value as Exclude<T, null | undefined | false>;
    } catch (error) {
      problem = error;
    }
    await pause(10);
  } while (performance.now() < endsAt);
  throw new Error(`The condition did not come within ${String(withinMs)} ms: ${condition.toString()}`, { cause: problem });
}

/** Below the ports that the system gives to whoever asks for any: those can be taken again before the test listens, or while its server is stopped. */
const PORTS = { from: 11_000, to: 32_000 } as const;

/** A port on which nobody listens. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(PORTS.from, PORTS.to);
    if (await isFree(port)) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}

export async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } finally {
    socket.destroy();
  }
}
