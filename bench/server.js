/** A process of its own that serves a subject, so that its time and its memory are not mixed with those of the clients. */
import { counter, hang, letGo, pass } from './checks.js';
import { subjects } from './subjects.js';

/** 1,000 clients connect at once: with the default, some would have to try again a second later. */
const BACKLOG = 2_048;

const servers = new Map();

const commands = {
  async open({ subject, checks, isHanging = false, ...options }) {
    const server = subjects[subject](Array(checks).fill(isHanging ? hang : pass), options);
    await new Promise((resolve) => server.listen({ port: 0, host: '127.0.0.1', backlog: BACKLOG }, resolve));
    const { port } = server.address();
    servers.set(port, server);
    return { port };
  },

  async usage() {
    const { user, system } = process.cpuUsage();
    return { cpuUs: user + system, executions: counter.executions };
  },

  /** Once all connections are gone. The least of some readings: the collector counts a page that it has not swept yet as full. */
  async heap({ port }) {
    while ((await countConnections(servers.get(port))) > 0) await sleep(10);
    const readings = [];
    for (let turn = 0; turn < 10; turn += 1) {
      await sleep(20);
      globalThis.gc();
      readings.push(process.memoryUsage().heapUsed);
    }
    return { heapUsed: Math.min(...readings) };
  },

  async close({ port }) {
    letGo();
    servers.get(port).close();
    servers.delete(port);
    // Each server of terminus leaves one.
    process.removeAllListeners('SIGTERM');
    return {};
  },
};

process.on('message', ({ command, ...options }) => {
  void Promise.resolve(commands[command](options)).then((answer) => process.send(answer));
});
process.on('disconnect', () => process.exit());

function countConnections(server) {
  return new Promise((resolve) => server.getConnections((_error, count) => resolve(count)));
}

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
