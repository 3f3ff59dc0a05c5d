import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { request, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { WebSocket } from 'ws';
import { ask } from '../support/http.js';
import { accepts, freePort, startNode, until, type Child } from '../support/processes.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** Without it the client itself asks for the connection to be closed, and every answer says so. */
const keepAlive = { headers: { connection: 'keep-alive' } };

describe('examples/shutdown', () => {
  let child: Child;
  let port: number;
  let url: string;
  let probes: string;
  let exited: Promise<unknown[]>;
  const sockets: WebSocket[] = [];

  beforeEach(async () => {
    port = await freePort();
    const management = await freePort();
    url = `127.0.0.1:${String(port)}`;
    probes = `http://127.0.0.1:${String(management)}`;
    child = startNode(join(root, 'build/examples/shutdown/server.js'), {
      PORT: String(port),
      MANAGEMENT_PORT: String(management),
      DRAIN_DELAY_MS: '1500',
    });
    exited = once(child.process, 'exit');
    await until(() => {
      if (child.process.exitCode !== null) throw new Error(child.output());
      return child.output().includes('listening on');
    });
  });

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.terminate();
    await child.stop('SIGKILL');
  });

  const said = (text: string) => until(() => child.output().includes(text));

  async function chat(): Promise<WebSocket> {
    const socket = new WebSocket(`ws://${url}/chat`);
    sockets.push(socket);
    await once(socket, 'open');
    return socket;
  }

  it('loses neither a request nor a job, and ends its streams, on SIGTERM', async () => {
    const socket = await chat();
    socket.send('hello');
    expect(String((await once(socket, 'message'))[0])).to.equal('hello');
    const left = once(socket, 'close') as Promise<[number, Buffer]>;
    const stream = await listen(`http://${url}/events`);
    await until(() => stream.received().includes('data: '));
    const slow = ask(`http://${url}/?ms=3000`, keepAlive);
    expect((await ask(`http://${url}/reports?ms=3500`, { method: 'POST', ...keepAlive })).status).to.equal(202);
    const before = await ask(`http://${url}/`, keepAlive);
    expect([before.body, before.headers.connection]).to.deep.equal(['{"reports":0}\n', 'keep-alive']);

    child.process.kill('SIGTERM');
    await said('"phase":"draining"');
    expect((await ask(`${probes}/readyz`)).status).to.equal(503);
    expect((await ask(`${probes}/livez`)).status).to.equal(200);
    const during = await ask(`http://${url}/`, keepAlive);
    expect([during.status, during.headers.connection]).to.deep.equal([200, 'close']);

    await until(async () => !(await accepts(port).catch(() => false)));
    expect((await ask(`${probes}/readyz`)).status).to.equal(503);
    expect((await ask(`${probes}/livez`)).status).to.equal(200);
    const [code, reason] = await left;
    expect([code, String(reason)]).to.deep.equal([1001, 'going away']);
    await stream.ended;
    expect(stream.received()).to.match(/event: goodbye\ndata: shutting down\n\n$/);
    const answer = await slow;
    expect([answer.status, answer.headers.connection]).to.deep.equal([200, 'close']);
    expect(await exited).to.deep.equal([0, null]);
    expect(child.output()).to.match(
      /"closing"[^]*report written[^]*"hooks"[^]*telemetry sent[^]*"deactivating"[^]*database closed[^]*"finished"/,
    );
  });

  it('cuts a WebSocket whose client does not say goodbye, and exits with 0 all the same', async () => {
    const socket = await chat();
    socket.pause();
    child.process.kill('SIGTERM');
    expect(await exited).to.deep.equal([0, null]);
  });

  it('has a pod.yaml whose times fit into each other', () => {
    const pod = readFileSync(join(root, 'examples/shutdown/pod.yaml'), 'utf8');
    const read = (pattern: RegExp) => Number(pattern.exec(pod)?.[1]);
    const grace = read(/terminationGracePeriodSeconds: (\d+)/);
    const timeout = read(/SHUTDOWN_TIMEOUT_MS, value: '(\d+)'/);
    expect(read(/TERMINATION_GRACE_PERIOD_SECONDS, value: '(\d+)'/)).to.equal(grace);
    expect(timeout).to.be.below(grace * 1_000);
    expect(read(/DRAIN_DELAY_MS, value: '(\d+)'/)).to.be.below(timeout);
  });
});

/** A stream of which each part is seen as it comes. `ended` rejects where it is cut in the middle. */
async function listen(url: string): Promise<{ received(): string; ended: Promise<unknown> }> {
  const sent = request(url, { agent: false, ...keepAlive }).end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  let received = '';
  response.on('data', (chunk: Buffer) => (received += String(chunk)));
  return { received: () => received, ended: once(response, 'end') };
}
