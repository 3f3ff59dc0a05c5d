import { once } from 'node:events';
import { Agent, request, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { WebSocket } from 'ws';
import { startNode, until, type Child } from '../support/processes.js';

const PROGRAM = fileURLToPath(new URL('programs/mixed.js', import.meta.url));
const RESTARTS = 20;

/** The balancer learns late that a pod is leaving, and in time for the pod. */
const LATE_MS = 400;
const DRAIN_DELAY_MS = 1_000;

/** A request that is in flight at both signals. */
const LONG_MS = 1_800;
const SECOND_SIGNAL_AFTER_MS = 1_200;

interface Pod extends Child {
  readonly port: number;
  readonly exited: Promise<unknown[]>;
}

describe('rolling restarts with a second SIGTERM during each shutdown', function () {
  this.timeout(120_000);

  it('lose no request, no WebSocket and no event stream, and exit with 0', async () => {
    const pods: Pod[] = [];
    let pod = await startPod();
    const clients = new Clients(pod.port);
    clients.begin();
    const exits: Promise<unknown>[] = [];
    for (let time = 0; time < RESTARTS; time += 1) {
      const successor = await startPod();
      pods.push(pod);
      exits.push(replace(clients, pod));
      await pause(LATE_MS);
      clients.port = successor.port;
      pod = successor;
    }
    expect(await Promise.all(exits)).to.deep.equal(Array.from({ length: RESTARTS }, () => [0, null]));
    await clients.end();
    await pod.stop('SIGKILL');
    expect(clients.lost).to.deep.equal([]);
    for (const replaced of pods) expect(replaced.output()).to.match(/SIGTERM again, the shutdown continues[^]*finished/);
    expect(clients.counts.requests).to.be.greaterThan(RESTARTS * 10);
    expect(clients.counts.goodbyes).to.be.greaterThan(RESTARTS);
    expect(clients.counts.streams).to.be.greaterThan(RESTARTS);
  });
});

async function startPod(): Promise<Pod> {
  const child = startNode(PROGRAM, { DRAIN_DELAY_MS: String(DRAIN_DELAY_MS) });
  const exited = once(child.process, 'exit');
  const [, port] = await until(() => /listening on (\d+)/.exec(child.output()));
  return { ...child, port: Number(port), exited };
}

async function replace(clients: Clients, pod: Pod): Promise<unknown[]> {
  const long = clients.ask(pod.port, LONG_MS);
  await pause(100);
  pod.process.kill('SIGTERM');
  await pause(SECOND_SIGNAL_AFTER_MS);
  pod.process.kill('SIGTERM');
  await long;
  return pod.exited;
}

/** Clients that keep their connections, each to the pod that was the right one when it connected. */
class Clients {
  readonly lost: string[] = [];
  readonly counts = { requests: 0, goodbyes: 0, streams: 0 };
  readonly #loops: Promise<void>[] = [];
  readonly #sockets = new Set<WebSocket>();
  #isOver = false;

  constructor(public port: number) {}

  begin(): void {
    for (let client = 0; client < 6; client += 1) this.#loops.push(this.#request(new Agent({ keepAlive: true, maxSockets: 1 })));
    for (let client = 0; client < 4; client += 1) this.#loops.push(this.#chat(), this.#listen());
  }

  async end(): Promise<void> {
    this.#isOver = true;
    for (const socket of this.#sockets) socket.terminate();
    await Promise.all(this.#loops);
  }

  async ask(port: number, ms: number, agent: Agent | false = false): Promise<void> {
    try {
      const response = await this.#get(port, `/?ms=${String(ms)}`, agent);
      const body = await text(response);
      if (response.statusCode !== 200 || body !== 'done') this.lost.push(`request: ${String(response.statusCode)}`);
      this.counts.requests += 1;
    } catch (error) {
      this.lost.push(`request: ${String(error)}`);
    }
  }

  /** The connection of an agent stays with its pod, until an answer says `Connection: close`. */
  async #request(agent: Agent): Promise<void> {
    let port = this.port;
    while (!this.#isOver) {
      if (Object.keys(agent.freeSockets).length === 0) port = this.port;
      await this.ask(port, Math.random() * 60, agent);
      await pause(Math.random() * 30);
    }
    agent.destroy();
  }

  async #chat(): Promise<void> {
    while (!this.#isOver) {
      const socket = new WebSocket(`ws://127.0.0.1:${String(this.port)}`);
      this.#sockets.add(socket);
      const closed = once(socket, 'close') as Promise<[number]>;
      socket.on('error', (error) => this.lost.push(`WebSocket: ${String(error)}`));
      socket.on('open', () => socket.send('1'));
      socket.on('message', () => setTimeout(() => socket.readyState === WebSocket.OPEN && socket.send('1'), 10));
      const [code] = await closed;
      this.#sockets.delete(socket);
      if (this.#isOver) return;
      if (code === 1001) this.counts.goodbyes += 1;
      else this.lost.push(`WebSocket: closed with ${String(code)}`);
    }
  }

  async #listen(): Promise<void> {
    while (!this.#isOver) {
      try {
        const response = await this.#get(this.port, '/events', false);
        let received = '';
        for await (const chunk of response) {
          received += String(chunk);
          if (this.#isOver) return;
        }
        if (!received.endsWith('event: goodbye\ndata: shutting down\n\n'))
          this.lost.push(`event stream: ended with ${received.slice(-40)}`);
        this.counts.streams += 1;
      } catch (error) {
        this.lost.push(`event stream: ${String(error)}`);
      }
      await pause(50);
    }
  }

  async #get(port: number, path: string, agent: Agent | false): Promise<IncomingMessage> {
    const sent = request({ port, host: '127.0.0.1', path, agent, headers: agent === false ? { connection: 'keep-alive' } : {} });
    const answered = once(sent, 'response') as Promise<[IncomingMessage]>;
    sent.end();
    const [response] = await answered;
    return response;
  }
}
