/** The clients of the benchmark, and the balancer that stands between: plain JavaScript, outside of what is compiled, and a process of its own. */
export interface Client {
  ask(command: 'begin', options: { load: 'layer 7' | 'layer 4'; port: number }): Promise<unknown>;
  /** From that time of the clock on, the pod of that port is the right one. */
  ask(command: 'move', options: { port: number; at: number }): Promise<unknown>;
  ask(command: 'end'): Promise<Played>;
  stop(): void;
}

interface Played {
  readonly sent: number;
  readonly failures: readonly { readonly reason: string; readonly port: number; readonly at: number }[];
}

const load = <T>(file: string) => import(new URL(`../../../bench/shutdown/${file}`, import.meta.url).href) as Promise<T>;

const rollout = await load<{ startClient(): Client }>('rollout.js');
const clock = await load<{ now(): number }>('clock.js');

export const startClient = (): Client => rollout.startClient();

/** Milliseconds on the clock of the clients. */
export const now = (): number => clock.now();
