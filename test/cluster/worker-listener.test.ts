import { once } from 'node:events';
import { connect } from 'node:http2';
import { createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { Cluster } from '../support/clusters.js';
import { ask } from '../support/http.js';
import { accepts, freePort, until } from '../support/processes.js';

describe('reportToPrimary(servers, probes), while the worker is not ready,', () => {
  let cluster: Cluster;
  let ports: Map<number, number>;

  beforeEach(async () => {
    cluster = Cluster.start({ WORKER_PROGRAM: 'several-listeners.js', FIRST_PORT: String(await freePort()) });
    await cluster.untilReady;
    await until(() => cluster.count('has port') === 2);
    const told = cluster.log.matchAll(/worker (\d+) has port (\d+)/g);
    ports = new Map(Array.from(told, ([, pid, port]) => [Number(pid), Number(port)]));
  });

  afterEach(() => cluster.kill());

  const refuses = (port: number) => until(async () => !(await accepts(port).catch(() => false)));

  it('makes HTTP/2 clients leave after their next stream', async () => {
    const [, port = ''] = await until(() => /serves on (\d+)/.exec(cluster.log));
    const session = connect(`http://127.0.0.1:${port}`);
    const stream = () => text(session.request({ ':path': '/' }).end());
    const pid = Number(await stream());
    process.kill(pid, 'SIGUSR2');
    await refuses(ports.get(pid)!);
    const left = once(session, 'goaway');
    expect(Number(await stream())).to.equal(pid);
    await left;
    session.close();
  });

  it('gives up every server, and takes each again at its own address', async () => {
    for (const [pid, port] of ports) {
      process.kill(pid, 'SIGUSR2');
      await refuses(port);
      process.kill(pid, 'SIGUSR2');
      await until(async () => (await ask(`http://127.0.0.1:${String(port)}`)).body === String(pid));
    }
  });

  it('tries again until it can listen, if another process has taken the port', async () => {
    const [[pid = 0, port = 0] = []] = ports;
    process.kill(pid, 'SIGUSR2');
    await refuses(port);
    const thief = createServer().listen(port, '127.0.0.1');
    await once(thief, 'listening');
    process.kill(pid, 'SIGUSR2');
    await cluster.said('a server cannot listen again, and tries every 1000 ms: listen EADDRINUSE');
    thief.close();
    await until(async () => (await ask(`http://127.0.0.1:${String(port)}`)).body === String(pid));
    expect(cluster.count('a server cannot listen again')).to.equal(1);
  });

  it('says that it cannot make a server leave that listened before the call', async () => {
    const [[pid = 0] = []] = ports;
    process.kill(pid, 'SIGUSR2');
    await cluster.said(
      'a server listened before reportToPrimary() was called, so that it cannot stop while the worker is not ready. Call reportToPrimary() first.',
    );
  });

  it('leaves a worker that shuts down to its shutdown', async () => {
    const [[pid = 0, port = 0] = []] = ports;
    process.kill(pid, 'SIGUSR2');
    await refuses(port);
    cluster.primary.process.kill('SIGTERM');
    expect(await cluster.exited).to.deep.equal([0, null]);
  });
});
