import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Agent } from 'node:http';
import { fileURLToPath } from 'node:url';
import { ask, type Answer } from './http.js';
import { startNode, until, type Child } from './processes.js';

const PRIMARY = fileURLToPath(new URL('../cluster/programs/primary.js', import.meta.url));

/** A primary of its own process, with its workers. What it starts is killed with it. */
export class Cluster {
  readonly exited: Promise<[number | null, NodeJS.Signals | null]>;

  private constructor(readonly primary: Child) {
    this.exited = once(primary.process, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  }

  /** `environment` tells primary and workers what to do; what is no string is written as JSON. */
  static start(environment: Readonly<Record<string, unknown>> = {}): Cluster {
    const strings = Object.entries(environment).map(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)]);
    // A group of its own, as a container is one for the signal of its end.
    return new Cluster(startNode(PRIMARY, Object.fromEntries(strings) as Record<string, string>, { detached: true }));
  }

  get log(): string {
    return this.primary.output();
  }

  said(text: string | RegExp): Promise<unknown> {
    return until(() => (typeof text === 'string' ? this.log.includes(text) : text.test(this.log)));
  }

  count(text: string): number {
    return this.log.split(text).length - 1;
  }

  async answers(path: string): Promise<Answer> {
    const [, port = ''] = await until(() => /probes on (\d+)/.exec(this.log));
    return ask(`http://127.0.0.1:${port}${path}`);
  }

  /** Resolves when that path of the probes is answered so. */
  async untilAnswered(path: string, status: number, body: string | RegExp = ''): Promise<void> {
    await until(async () => {
      const answer = await this.answers(path);
      if (answer.status === status && (typeof body === 'string' ? answer.body.includes(body) : body.test(answer.body))) return true;
      throw new Error(`It was ${String(answer.status)}: ${answer.body}\n${this.log}`);
    }, 20_000);
  }

  get untilReady(): Promise<void> {
    return this.untilAnswered('/readyz?verbose', 200, '[+]workers-ready ok');
  }

  /** On a connection of its own, or on one that is kept. */
  async ask(path = '/', agent: Agent | false = false): Promise<Answer> {
    const [, port = ''] = await until(() => /serves on (\d+)/.exec(this.log));
    return ask(`http://127.0.0.1:${port}${path}`, { agent, ...(agent === false ? {} : { headers: { connection: 'keep-alive' } }) });
  }

  /** The workers that answer. */
  async workers(count: number): Promise<number[]> {
    const pids = new Set<number>();
    await until(async () => pids.add(Number((await this.ask()).body)).size === count);
    return [...pids];
  }

  signalGroup(signal: NodeJS.Signals): void {
    const { pid } = this.primary.process;
    if (pid !== undefined) process.kill(-pid, signal);
  }

  /** Whatever is left of it. */
  async kill(): Promise<void> {
    try {
      this.signalGroup('SIGKILL');
    } catch {
      return; // all of it has ended
    }
    await this.primary.stop('SIGKILL');
  }
}

/** One that has ended, and that nobody has asked for its exit code, is not. */
export function isAlive(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${String(pid)}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
