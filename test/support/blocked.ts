import { fileURLToPath } from 'node:url';
import type { EventLoopBlock, ProbeHeartbeatOptions, ProbeServerOptions } from 'koa-probes';
import { ask, type Answer } from './http.js';
import { freePort, start, until, type Child } from './processes.js';

const program = fileURLToPath(new URL('./blocked-child.js', import.meta.url));

/** Newer versions of Node have it without the word. */
export const PERMISSION = process.allowedNodeEnvironmentFlags.has('--permission') ? '--permission' : '--experimental-permission';

export interface BlockableOptions {
  readonly server?: Omit<ProbeServerOptions, 'port' | 'thread'>;
  readonly heartbeat?: ProbeHeartbeatOptions;
  /** Of Node. */
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** A process whose event loop can be blocked, and whose probes a thread answers. */
export class Blockable {
  constructor(
    private readonly child: Child,
    private readonly port: number,
    private readonly probePort: number,
  ) {}

  get process() {
    return this.child.process;
  }

  output(): string {
    return this.child.output();
  }

  /** The lines of the log about blocks. */
  get lines(): string[] {
    return this.output()
      .split('\n')
      .filter((line) => line.startsWith('koa-probes: the event loop'));
  }

  /** The blocks that are over. */
  get blocks(): EventLoopBlock[] {
    return Array.from(this.output().matchAll(/^block (.*)$/gm), ([, json]) => JSON.parse(json!) as EventLoopBlock);
  }

  probe(path: string, headers: Record<string, string> = {}): Promise<Answer> {
    return ask(`http://127.0.0.1:${String(this.probePort)}${path}`, { headers });
  }

  /** Resolves as soon as the process has taken the command. */
  async command(path: string): Promise<void> {
    await ask(`http://127.0.0.1:${String(this.port)}/${path}`);
  }

  /** Begins to block the event loop. */
  block(ms: number, by = 'loop'): Promise<void> {
    return this.command(`block?by=${by}&ms=${String(ms)}`);
  }

  /** Resolves when the event loop turns, or when the process has ended. */
  async untilOver(): Promise<void> {
    await this.command('nothing');
  }

  stop(signal?: NodeJS.Signals): Promise<number | null> {
    return this.child.stop(signal);
  }
}

export async function startBlockable({ server = {}, heartbeat, flags = [], env = {} }: BlockableOptions = {}): Promise<Blockable> {
  const [port, probePort] = [await freePort(), await freePort()];
  const child = start(process.execPath, [...flags, program], {
    env: {
      ...process.env,
      NODE_EXTRA_CA_CERTS: undefined,
      NODE_V8_COVERAGE: undefined,
      PORT: String(port),
      SERVER: JSON.stringify({ ...server, port: server.socket === undefined ? probePort : undefined }),
      HEARTBEAT: JSON.stringify(heartbeat),
      ...env,
    },
  });
  await until(() => {
    if (child.process.exitCode !== null) throw new Error(child.output());
    return child.output().includes('listens\n');
  });
  return new Blockable(child, port, probePort);
}
