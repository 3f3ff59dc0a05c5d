/** A process of its own that plays the clients of a pod, and what stands between. It is told which pod is the right one, and when that changes. */
import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises';
import { now } from './clock.js';
import { Connection } from './connection.js';
import { loads } from './loads.js';

const NEW_CONNECTION_SHARE = 0.1;

/** A client that was kept from its processor for longer looks again whether a connection was closed, before it sends. */
const FRESH_MS = 1;

class Play {
  #isOver = false;
  #inFlight = new Set();
  #sent = 0;
  #failures = [];
  #lastAnswersAt = {};

  constructor(loadName, port) {
    this.load = loads[loadName];
    this.port = port;
    const shared = [];
    for (let user = 0; user < this.load.users; user += 1) void this.#use(this.load.isPooled ? shared : []);
  }

  /** Stops sending, waits for the answers under way, and leaves connections that are idle to the server. */
  async end() {
    this.#isOver = true;
    await Promise.all(this.#inFlight);
    return { sent: this.#sent, failures: this.#failures, lastAnswersAt: this.#lastAnswersAt };
  }

  async #use(pool) {
    await pause(between([0, this.load.warmUpMs / 2]));
    while (!this.#isOver) {
      const request = this.#request(pool);
      this.#inFlight.add(request);
      await request;
      this.#inFlight.delete(request);
      await pause(between(this.load.thinkMs));
      await catchUp();
    }
  }

  async #request(pool) {
    const connection = this.#take(pool);
    const { port } = connection;
    this.#sent += 1;
    const reason = await connection.send(this.#compose(), () => between(this.load.piecesMs));
    if (reason !== undefined) this.#failures.push({ reason, port, at: now() });
    if (reason === undefined) this.#lastAnswersAt[port] = now();
    if (connection.isOpen) pool.push(connection);
  }

  /** A balancer of layer 7 chooses the pod for each request, one of layer 4 for each connection. */
  #take(pool) {
    if (this.load.isPooled && Math.random() < NEW_CONNECTION_SHARE) return new Connection(this.port);
    while (pool.length > 0) {
      const connection = pool.pop();
      if (connection.isOpen && (!this.load.isPooled || connection.port === this.port)) return connection;
    }
    return new Connection(this.port);
  }

  #compose() {
    const head = `/?ms=${Math.round(between(this.load.workMs()))} HTTP/1.1\r\nHost: localhost\r\n`;
    if (this.load.piecesMs === undefined) return [`GET ${head}\r\n`];
    return [`POST ${head.slice(0, 12)}`, `${head.slice(12)}Content-Length: 8\r\n`, '\r\nhalf', 'half'];
  }
}

/** A close that has come is seen before anything is sent. */
async function catchUp() {
  let turnedAt;
  do {
    turnedAt = now();
    await turn();
  } while (now() - turnedAt > FRESH_MS);
}

function between([least, most]) {
  return least + Math.random() * (most - least);
}

let play;

const commands = {
  async begin({ load, port }) {
    play = new Play(load, port);
    return {};
  },

  async move({ port, at }) {
    await pause(at - now());
    play.port = port;
    return {};
  },

  end: () => play.end(),
};

process.on('message', ({ command, ...options }) => {
  void Promise.resolve(commands[command](options)).then((answer) => process.send(answer));
});
process.on('disconnect', () => process.exit());
