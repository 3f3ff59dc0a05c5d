import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { request } from 'node:https';
import { connect, type Socket } from 'node:net';
import { text as readText } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { Authority } from '../support/certificates.js';
import { ask as askOnce, closeServers, serve } from '../support/http.js';
import { accepts, freePort, startNode, until, type Child } from '../support/processes.js';

/** A scenario is a small script of its own in `test/shutdown/`, run as a process of its own. */
interface Scenario extends Child {
  readonly url: string;
  readonly port: number;
  signal(signal: NodeJS.Signals): void;
  exited(): Promise<{ code: number | null; signal: NodeJS.Signals | null; tookMs: number }>;
}

describe('gracefulShutdown(servers, probes, options) in a process', () => {
  const running: Child[] = [];
  const sockets: Socket[] = [];
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    closeServers();
    await Promise.all(running.splice(0).map((child) => child.stop('SIGKILL')));
  });

  async function begin(name: string, env: Record<string, string> = {}, sign = /listening on (\d+)/): Promise<Scenario> {
    const child = startNode(fileURLToPath(new URL(`programs/${name}.js`, import.meta.url)), env);
    running.push(child);
    const exit = once(child.process, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
    await until(() => sign.test(child.output()) || child.process.exitCode !== null);
    let sentAt = 0;
    const port = Number(/listening on (\d+)/.exec(child.output())?.[1] ?? 0);
    return {
      ...child,
      port,
      url: `http://127.0.0.1:${String(port)}`,
      signal(signal) {
        sentAt = performance.now();
        child.process.kill(signal);
      },
      async exited() {
        const [code, signal] = await exit;
        return { code, signal, tookMs: performance.now() - sentAt };
      },
    };
  }

  /** As a client that would come again on its connection. */
  const ask = (url: string) => askOnce(url, { headers: { connection: 'keep-alive' } });

  const said = (child: Child, text: string) => until(() => child.output().includes(text));

  async function dial(port: number): Promise<Socket> {
    const socket = connect(port, '127.0.0.1').on('error', () => {});
    sockets.push(socket);
    await once(socket, 'connect');
    return socket;
  }

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`fails readiness, passes liveness and finishes requests in flight on ${signal}`, async () => {
      const scenario = await begin('plain');
      const slow = ask(`${scenario.url}/slow?ms=1000`);
      await said(scenario, 'slow request begun');
      scenario.signal(signal);
      await said(scenario, 'draining');
      const [ready, live, page] = await Promise.all(['/readyz', '/livez', '/page'].map((path) => ask(scenario.url + path)));
      expect(ready).to.deep.include({ status: 503, body: '[-]lifecycle failed: draining\nreadyz check failed\n' });
      expect(live).to.include({ status: 200, body: 'ok' });
      expect(page).to.include({ status: 200, body: 'done' });
      expect(page?.headers.connection).to.equal('close');
      await said(scenario, 'the listeners are closed');
      expect(await until(async () => !(await accepts(scenario.port).catch(() => false)))).to.equal(true);
      const answer = await slow;
      expect(answer).to.include({ status: 200, body: 'done' });
      expect(answer.headers.connection).to.equal('close');
      expect((await scenario.exited()).code).to.equal(0);
      expect(scenario.output()).to.match(new RegExp(`hook second by ${signal}\nhook first by ${signal}`));
    });
  }

  describe('when a signal is repeated', () => {
    /** From here on it is no more taken for the same signal. */
    const later = () => pause(1_100);

    async function beginSlow(env: Record<string, string> = {}) {
      const scenario = await begin('signals', env);
      const slow = ask(`${scenario.url}/slow?ms=2000`).then(
        ({ status }) => status,
        () => 'lost',
      );
      await said(scenario, 'slow request begun');
      return { scenario, slow };
    }

    for (const [first, second] of [
      ['SIGTERM', 'SIGTERM'],
      ['SIGINT', 'SIGTERM'],
    ] as const) {
      it(`logs ${second} after ${first}, loses no request and exits with 0`, async () => {
        const { scenario, slow } = await beginSlow();
        scenario.signal(first);
        await later();
        scenario.signal(second);
        await said(scenario, `${second} again, the shutdown continues until 15000 ms at the latest; 1 connection, 1 request in flight`);
        expect(await slow).to.equal(200);
        expect((await scenario.exited()).code).to.equal(0);
        expect(scenario.output()).to.include('database closed');
      });
    }

    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      it(`treats ${signal} within a second as the same signal`, async () => {
        const { scenario, slow } = await beginSlow();
        scenario.signal('SIGTERM');
        await said(scenario, 'draining');
        for (let time = 0; time < 3; time += 1) scenario.signal(signal);
        expect(await slow).to.equal(200);
        expect((await scenario.exited()).code).to.equal(0);
        expect(scenario.output()).to.not.include('again');
      });

      it(`exits at once with 1 on a later SIGINT after ${signal}`, async () => {
        const { scenario, slow } = await beginSlow();
        scenario.signal(signal);
        await later();
        scenario.signal('SIGINT');
        expect(await scenario.exited()).to.include({ code: 1, signal: null });
        expect(scenario.output()).to.include('SIGINT again, exiting with code 1 at once; 1 connection, 1 request in flight');
        expect(await slow).to.equal('lost');
      });
    }

    it('exits on any signal that the application chooses', async () => {
      const { scenario, slow } = await beginSlow({ REPEATED: 'exit' });
      scenario.signal('SIGTERM');
      await later();
      scenario.signal('SIGTERM');
      expect((await scenario.exited()).code).to.equal(1);
      expect(await slow).to.equal('lost');
    });

    for (const decision of ['continue', 'throw']) {
      it(`continues after Ctrl-C if the decision of the application is: ${decision}`, async () => {
        const { scenario, slow } = await beginSlow({ REPEATED: decision });
        scenario.signal('SIGINT');
        await later();
        scenario.signal('SIGINT');
        expect(await slow).to.equal(200);
        expect((await scenario.exited()).code).to.equal(0);
        if (decision === 'throw') expect(scenario.output()).to.include('`onRepeatedSignal` of gracefulShutdown() failed: undecided');
      });
    }

    it('counts only signals: the first signal after shutdown() in code is not a repetition', async () => {
      const { scenario, slow } = await beginSlow();
      scenario.signal('SIGUSR2');
      await said(scenario, 'the listeners are closed');
      await later();
      scenario.signal('SIGINT');
      await said(scenario, 'SIGINT, the shutdown continues');
      expect(await slow).to.equal(200);
      expect((await scenario.exited()).code).to.equal(0);
    });

    it('waits for an exit function that is still running, and calls it once', async () => {
      const scenario = await begin('exit-function');
      scenario.signal('SIGTERM');
      await said(scenario, 'flushing before exit 0');
      await later();
      scenario.signal('SIGTERM');
      await said(scenario, 'SIGTERM again');
      scenario.signal('SIGINT');
      expect(await scenario.exited()).to.include({ code: 1, signal: null });
      expect(scenario.output().match(/flushing before exit/g)).to.have.lengthOf(1);
    });
  });

  describe('when `exit` stops a sidecar', () => {
    it('waits for the async function, which exits', async () => {
      const told: string[] = [];
      const sidecar = await serve((incoming, response) => {
        told.push(`${incoming.method ?? ''} ${incoming.url ?? ''}`);
        setTimeout(() => response.end(), 300);
      });
      const scenario = await begin('sidecar', { SIDECAR: sidecar });
      scenario.signal('SIGTERM');
      expect((await scenario.exited()).code).to.equal(0);
      expect(told).to.deep.equal(['POST /quitquitquit']);
    });

    it('exits with 1 if the function fails', async () => {
      const scenario = await begin('sidecar', { SIDECAR: `http://127.0.0.1:${String(await freePort())}` });
      scenario.signal('SIGTERM');
      expect((await scenario.exited()).code).to.equal(1);
      expect(scenario.output()).to.include('`exit` of gracefulShutdown() failed: fetch failed');
    });
  });

  it('logs the first of many errors with its stack, and counts the others', async () => {
    const scenario = await begin('errors-in-interval');
    const slow = ask(`${scenario.url}/slow?ms=500`);
    await said(scenario, 'slow request begun');
    scenario.signal('SIGUSR2');
    expect((await slow).status).to.equal(200);
    expect((await scenario.exited()).code).to.equal(1);
    expect(scenario.output().match(/uncaughtException: Error: nobody has caught this\s+at /g)).to.have.lengthOf(1);
    expect(scenario.output()).to.match(/\d+ more uncaught errors during the shutdown, the last one: nobody has caught this/);
    expect(scenario.output().match(/nobody has caught this/g)).to.have.lengthOf(2);
  });

  it('says in a worker thread where to install the shutdown, and runs there without signals', async () => {
    const scenario = await begin('worker-thread', {}, /the code is/);
    expect(scenario.output()).to.match(/receives no signals in a worker thread\. Call it in the main thread/);
    expect(scenario.output()).to.match(/database closed[^]*the code is 0/);
    expect((await scenario.exited()).code).to.equal(0);
  });

  it('ends an idle pod within a given grace period with the default delays', async () => {
    const scenario = await begin('defaults', { KUBERNETES_SERVICE_HOST: '10.0.0.1', TERMINATION_GRACE_PERIOD_SECONDS: '3' });
    scenario.signal('SIGTERM');
    const { code, tookMs } = await scenario.exited();
    expect(code).to.equal(0);
    expect(tookMs).to.be.below(3_000);
  });

  describe('when it begins in code in a pod', () => {
    const POD = { KUBERNETES_SERVICE_HOST: '10.0.0.1', TERMINATION_GRACE_PERIOD_SECONDS: '2' };

    it('logs how long liveness is answered', async () => {
      const scenario = await begin('defaults', POD);
      scenario.signal('SIGUSR2');
      expect((await scenario.exited()).code).to.equal(0);
      expect(scenario.output()).to.match(
        /continues to send liveness probes\. They are answered until the listeners close in 833 ms.*probeServer\(\)/,
      );
    });

    it('answers liveness until the end with probeServer()', async () => {
      const scenario = await begin('defaults', { ...POD, PROBE_SERVER: 'yes' }, /probes on \d+/);
      const probes = `http://127.0.0.1:${/probes on (\d+)/.exec(scenario.output())?.[1] ?? ''}`;
      scenario.signal('SIGUSR2');
      await said(scenario, 'the listeners are closed');
      expect((await ask(`${probes}/livez`)).status).to.equal(200);
      scenario.signal('SIGHUP');
      expect((await scenario.exited()).code).to.equal(0);
      expect(scenario.output()).to.not.include('liveness probes');
    });
  });

  for (const way of ['throws', 'rejects']) {
    it(`exits with 1 if the exit function ${way}`, async () => {
      const scenario = await begin('exit-function', { FAIL: way });
      scenario.signal('SIGTERM');
      expect((await scenario.exited()).code).to.equal(1);
      expect(scenario.output()).to.include('`exit` of gracefulShutdown() failed: the log is gone');
    });
  }

  it('ends while the application is starting', async () => {
    const scenario = await begin('during-start');
    scenario.signal('SIGTERM');
    await said(scenario, 'draining');
    expect(await ask(`${scenario.url}/readyz`)).to.deep.include({
      status: 503,
      body: '[-]lifecycle failed: draining; starting: waiting for warm-up\nreadyz check failed\n',
    });
    expect((await scenario.exited()).code).to.equal(0);
  });

  it('closes a server that begins to listen during the shutdown', async () => {
    const scenario = await begin('before-listening', {}, /about to listen/);
    scenario.signal('SIGTERM');
    expect((await scenario.exited()).code).to.equal(0);
    expect(scenario.output()).to.include('still listening: false');
  });

  it('answers 503 to a readiness probe in flight', async () => {
    const scenario = await begin('during-probe');
    const probe = ask(`${scenario.url}/readyz`);
    await said(scenario, 'probe begun');
    scenario.signal('SIGTERM');
    expect(await probe).to.deep.include({ status: 503, body: '[-]lifecycle failed: draining\n[+]search ok\nreadyz check failed\n' });
    expect((await scenario.exited()).code).to.equal(0);
  });

  it('calls the other hooks and exits with 1 if hooks fail', async () => {
    const scenario = await begin('hook-throws');
    scenario.signal('SIGTERM');
    expect((await scenario.exited()).code).to.equal(1);
    expect(scenario.output()).to.match(/queue failed: the queue is gone[^]*cache failed: the cache is gone[^]*database closed/);
  });

  it('exits with 1 at its deadline if a hook hangs, and names the hook', async () => {
    const scenario = await begin('hook-hangs');
    scenario.signal('SIGTERM');
    const { code, tookMs } = await scenario.exited();
    expect(code).to.equal(1);
    expect(tookMs).to.be.at.least(790);
    expect(scenario.output()).to.match(/deadline exceeded.*1 background task \(database\), 1 hook left \(never reached\)/);
    expect(scenario.output()).to.not.match(/^never reached/m);
  });

  it('cuts off a request that lasts longer than the deadline, and exits with 1', async () => {
    const scenario = await begin('short-deadline');
    const slow = ask(`${scenario.url}/slow?ms=60000`).catch((error: Error) => error);
    await said(scenario, 'slow request begun');
    scenario.signal('SIGTERM');
    expect((await scenario.exited()).code).to.equal(1);
    expect(scenario.output()).to.match(/deadline exceeded.*1 connection, 1 request in flight/);
    expect(await slow).to.be.instanceOf(Error);
  });

  it('closes a connection without any request', async () => {
    const scenario = await begin('plain');
    const closed = once(await dial(scenario.port), 'close');
    scenario.signal('SIGTERM');
    expect((await scenario.exited()).code).to.equal(0);
    await closed;
  });

  it('waits for the second half of a request', async () => {
    const scenario = await begin('plain');
    const socket = await dial(scenario.port);
    socket.write('GET /page HTTP/1.1\r\nHost: a\r\n');
    scenario.signal('SIGTERM');
    await said(scenario, 'the listeners are closed');
    socket.write('\r\n');
    let answer = '';
    for await (const chunk of socket) answer += String(chunk);
    expect(answer).to.match(/^HTTP\/1.1 200 OK\r\n[^]*Connection: close\r\n[^]*done$/);
    expect((await scenario.exited()).code).to.equal(0);
  });

  it('ends at its deadline if the second half of a request never arrives', async () => {
    const scenario = await begin('short-deadline');
    (await dial(scenario.port)).write('GET /page HTTP/1.1\r\nHost: a\r\n');
    scenario.signal('SIGTERM');
    expect((await scenario.exited()).code).to.equal(1);
  });

  it('calls its hooks if the server is already closed', async () => {
    const scenario = await begin('closed-server', {}, /closed/);
    scenario.signal('SIGTERM');
    expect((await scenario.exited()).code).to.equal(0);
    expect(scenario.output()).to.include('database closed');
  });

  it('closes several servers while probes are answered by another one', async () => {
    const scenario = await begin('two-servers', {}, /probes on (\d+)/);
    const [first, second] = Array.from(scenario.output().matchAll(/listening on (\d+)/g), ([, port]) => Number(port));
    const probes = Number(/probes on (\d+)/.exec(scenario.output())?.[1]);
    const slow = ask(`http://127.0.0.1:${String(second)}/slow?ms=1000`);
    await said(scenario, 'slow request begun');
    scenario.signal('SIGTERM');
    await until(async () => !(await accepts(first ?? 0).catch(() => false)));
    expect((await ask(`http://127.0.0.1:${String(probes)}/livez`)).status).to.equal(200);
    expect((await ask(`http://127.0.0.1:${String(probes)}/readyz`)).status).to.equal(503);
    expect((await slow).status).to.equal(200);
    expect((await scenario.exited()).code).to.equal(0);
  });

  it('lets the last of several shutdowns exit', async () => {
    const scenario = await begin('two-calls', {}, /(listening on \d+[^]*){2}/);
    const [, second] = Array.from(scenario.output().matchAll(/listening on (\d+)/g), ([, port]) => Number(port));
    const slow = ask(`http://127.0.0.1:${String(second)}/slow?ms=1000`);
    await said(scenario, 'slow request begun');
    scenario.signal('SIGTERM');
    expect((await slow).status).to.equal(200);
    expect((await scenario.exited()).code).to.equal(0);
    expect(scenario.output()).to.match(/quick is through[^]*slow is through/);
  });

  it('leaves no listener after uninstall(), and leaves the signal to Node', async () => {
    const scenario = await begin('uninstalled', {}, /nothing is left|something is left/);
    expect(scenario.output()).to.include('nothing is left');
    scenario.signal('SIGTERM');
    expect((await scenario.exited()).signal).to.equal('SIGTERM');
  });

  it('begins with shutdown(reason) like with a signal', async () => {
    const scenario = await begin('in-code');
    const slow = ask(`${scenario.url}/slow?ms=500`);
    await said(scenario, 'slow request begun');
    scenario.signal('SIGUSR2');
    expect((await slow).headers.connection).to.equal('close');
    expect((await scenario.exited()).code).to.equal(0);
    const events = scenario.output().match(/^event .*$/gm);
    expect(events).to.deep.equal([
      'event draining by a new release with 1 in flight',
      'event closing by a new release with 1 in flight',
      'event hooks by a new release with 0 in flight',
      'event deactivating by a new release with 0 in flight',
      'event finished by a new release with 0 in flight',
    ]);
  });

  it('waits for the work of a process without a server', async () => {
    const scenario = await begin('worker', {}, /working/);
    scenario.signal('SIGTERM');
    expect((await scenario.exited()).code).to.equal(0);
    expect(scenario.output()).to.match(/AbortError\n[^]*consumer stopped\n[^]*export done\n[^]*database closed\n/);
    expect(scenario.output()).to.include('3 background tasks (held, export, consumer)');
  });

  it('deactivates the container after the hooks', async () => {
    const scenario = await begin('container');
    scenario.signal('SIGTERM');
    expect((await scenario.exited()).code).to.equal(0);
    expect(scenario.output()).to.match(/queue closed[^]*broker deactivated[^]*cache deactivated[^]*database deactivated/);
  });

  it('deactivates the rest of the container and exits with 1 if deactivations fail', async () => {
    const scenario = await begin('container', { FAIL: 'yes' });
    scenario.signal('SIGTERM');
    expect((await scenario.exited()).code).to.equal(1);
    expect(scenario.output()).to.match(/broker deactivated[^]*cache deactivated[^]*database deactivated/);
    expect(scenario.output()).to.include("the container's deactivation failed: the broker would not close: the cache would not close");
  });

  for (const [origin, signal] of [
    ['unhandledRejection', 'SIGUSR2'],
    ['uncaughtException', 'SIGHUP'],
  ] as const) {
    it(`finishes requests in flight after an ${origin} and exits with 1 if \`uncaughtErrors\` is true`, async () => {
      const scenario = await begin('crash', { CATCH: 'yes' });
      const slow = ask(`${scenario.url}/slow?ms=500`);
      await said(scenario, 'slow request begun');
      scenario.signal(signal);
      expect((await slow).status).to.equal(200);
      expect((await scenario.exited()).code).to.equal(1);
      expect(scenario.output()).to.match(new RegExp(`${origin}: Error: nobody has caught this\\s+at [^]*database closed`));
    });
  }

  it('leaves uncaught errors to Node by default', async () => {
    const scenario = await begin('crash');
    scenario.signal('SIGUSR2');
    expect((await scenario.exited()).code).to.equal(1);
    expect(scenario.output()).to.not.include('database closed');
  });

  it('adds no listener when it is imported, and leaves the signal to Node until it is called', async () => {
    const scenario = await begin('before-installing', {}, /added/);
    expect(scenario.output()).to.include('nothing is added');
    scenario.signal('SIGTERM');
    expect((await scenario.exited()).signal).to.equal('SIGTERM');
  });

  describe('with TLS', () => {
    const authority = new Authority();
    let env: Record<string, string>;
    before(async () => {
      const { cert, key } = await (await authority.start()).issue();
      env = { CERT: cert, KEY: key };
    });
    after(() => authority.stop());

    it('finishes requests in flight on an https server', async () => {
      const scenario = await begin('secure', { ...env, PROTOCOL: 'https' });
      const sent = request({ port: scenario.port, host: '127.0.0.1', ca: authority.ca, headers: { connection: 'keep-alive' } }).end();
      const answered = once(sent, 'response') as Promise<[IncomingMessage]>;
      await said(scenario, 'slow request begun');
      scenario.signal('SIGTERM');
      const [answer] = await answered;
      expect([answer.headers.connection, await readText(answer)]).to.deep.equal(['close', 'done']);
      expect((await scenario.exited()).code).to.equal(0);
    });

    it('finishes requests in flight on an http2 server', async () => {
      const scenario = await begin('secure', { ...env, PROTOCOL: 'http2' });
      const client = connectHttp2(`https://127.0.0.1:${String(scenario.port)}`, { ca: authority.ca });
      const answer = readText(client.request({ ':path': '/' }));
      await said(scenario, 'slow request begun');
      scenario.signal('SIGTERM');
      expect(await answer).to.equal('done');
      expect((await scenario.exited()).code).to.equal(0);
    });
  });
});
