import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { Container } from 'inversify';
import { ConfigurationError, discoverProbes, gracefulShutdown, ProbeRegistry } from 'koa-probes';
import { ask } from '../support/http.js';
import { start, startNode, until, type Child } from '../support/processes.js';

const PROGRAM = fileURLToPath(new URL('programs/early.js', import.meta.url));

describe('gracefulShutdown() before discoverProbes(container, { registry })', () => {
  const running: Child[] = [];
  afterEach(async () => {
    await Promise.all(running.splice(0).map((child) => child.stop('SIGKILL')));
  });

  async function begin(env: Record<string, string>, sign = 'connecting'): Promise<Child & { exited: Promise<unknown[]> }> {
    const child = startNode(PROGRAM, env);
    running.push(child);
    const exited = once(child.process, 'exit');
    await until(() => child.output().includes(sign));
    return { ...child, exited };
  }

  it('ends the start on SIGTERM: creates no further probe, deactivates the bindings, and exits with 0', async () => {
    const child = await begin({});
    child.process.kill('SIGTERM');
    expect(await child.exited).to.deep.equal([0, null]);
    expect(child.output()).to.match(
      /1 background task \(discovery of the probes\)[^]*telemetry sent[^]*database deactivated[^]*cache deactivated/,
    );
    expect(child.output()).to.not.match(/last probe made|discovered|listening on/);
  });

  it('deactivates the rest and exits with 1 if the creation of a probe fails meanwhile', async () => {
    const child = await begin({ FAIL: 'yes' });
    child.process.kill('SIGTERM');
    const [code] = await child.exited;
    expect(child.output()).to.match(/the discovery of the probes failed: .*no database[^]*cache deactivated/);
    expect(code).to.equal(1);
  });

  it('deactivates the created probes and exits with 1 at its deadline if a binding never resolves', async () => {
    const child = await begin({ TAKES_MS: '1000000' });
    child.process.kill('SIGTERM');
    const [code] = await child.exited;
    expect(child.output()).to.match(/telemetry sent[^]*cache deactivated[^]*deadline exceeded.*the container's deactivation/);
    expect(code).to.equal(1);
  });

  it('reports readiness and startup only after the discovery has finished', async () => {
    const child = await begin({ LISTEN: 'first', TAKES_MS: '3000' });
    await until(() => child.output().includes('listening on'));
    const url = `http://127.0.0.1:${/listening on (\d+)/.exec(child.output())?.[1] ?? ''}`;
    expect(await ask(`${url}/readyz`)).to.deep.include({
      status: 503,
      body: '[-]lifecycle failed: starting: waiting for the discovery of the probes\n[+]cache ok\nreadyz check failed\n',
    });
    expect((await ask(`${url}/startupz`)).body).to.include('[-]lifecycle failed: starting: waiting for the discovery of the probes\n');
    expect((await ask(`${url}/livez`)).status).to.equal(200);
    await until(() => child.output().includes('discovered'));
    for (const path of ['/startupz', '/readyz']) expect((await ask(url + path)).status).to.equal(200);
  });

  it('handles the signal as PID 1, for which Linux has no default action', async () => {
    const child = start('unshare', ['--pid', '--fork', '--kill-child', process.execPath, PROGRAM], {
      env: { ...process.env, NODE_EXTRA_CA_CERTS: undefined, NODE_V8_COVERAGE: undefined },
    });
    running.push(child);
    const exited = once(child.process, 'exit');
    await until(() => child.output().includes('connecting'));
    const pid = child.process.pid ?? 0;
    const [first] = readFileSync(`/proc/${String(pid)}/task/${String(pid)}/children`, 'utf8')
      .trim()
      .split(' ');
    expect(readFileSync(`/proc/${String(first)}/status`, 'utf8')).to.match(/^NSpid:\s+\d+\s+1$/m);
    process.kill(Number(first), 'SIGTERM');
    expect(await exited).to.deep.equal([0, null]);
    expect(child.output()).to.match(/database deactivated[^]*cache deactivated/);
  });

  describe('in this process', () => {
    const logger = false;
    afterEach(() => (process.exitCode = undefined));

    it('adds the probes to the given registry, and resolves to it', async () => {
      const probes = new ProbeRegistry({ logger });
      probes.register({ name: 'own', kinds: ['readiness'], check: () => {} });
      expect(await discoverProbes(new Container(), { registry: probes, classes: [] })).to.equal(probes);
      expect(probes.lifecycle.state).to.equal('running');
      probes.close();
    });

    it('leaves no listener on the shutdown signal, and no work to wait for', async () => {
      const probes = await discoverProbes(new Container(), { registry: new ProbeRegistry({ logger }), classes: [] });
      expect(await gracefulShutdown([], probes, { exit: false, signals: [] }).shutdown()).to.equal(0);
    });

    it('does not end the start if drain() is called without a shutdown', async () => {
      const probes = new ProbeRegistry({ logger });
      probes.lifecycle.drain();
      expect(await discoverProbes(new Container(), { registry: probes, classes: [] })).to.equal(probes);
      probes.close();
    });

    const wrong: [string, (probes: ProbeRegistry) => object, RegExp][] = [
      ['anything but a registry', () => ({ registry: {} }), /`registry` of discoverProbes\(\) to be a ProbeRegistry, got an object/],
      ['null', () => ({ registry: null }), /`registry` .* got `null`/],
      [
        'a logger next to a registry',
        (registry) => ({ registry, logger: false }),
        /`logger` of discoverProbes\(\) has no effect on the given `registry`/,
      ],
      [
        'a deadline next to a registry',
        (registry) => ({ registry, deadlineMs: 900 }),
        /`deadlineMs` of discoverProbes\(\) has no effect on the given `registry`/,
      ],
    ];
    for (const [title, options, message] of wrong) {
      it(`rejects ${title}`, async () => {
        const probes = new ProbeRegistry({ logger });
        const error: unknown = await discoverProbes(new Container(), options(probes)).catch((reason: unknown) => reason);
        expect(error).to.be.instanceOf(ConfigurationError);
        expect(String(error)).to.match(message);
        probes.close();
      });
    }

    it('rejects a registry that has the probes of a container', async () => {
      const probes = await discoverProbes(new Container(), { registry: new ProbeRegistry({ logger }), classes: [] });
      const error: unknown = await discoverProbes(new Container(), { registry: probes, classes: [] }).catch((reason: unknown) => reason);
      expect(String(error)).to.include('already has the probes of a container');
      probes.close();
    });
  });
});
