import { once } from 'node:events';
import { expect } from 'chai';
import { now, startClient, type Client } from '../support/clients.js';
import { projectPath } from '../support/consumer.js';
import { ask } from '../support/http.js';
import { freePort, startNode, until, type Child } from '../support/processes.js';

/** How late the balancer learns that a pod is leaving. */
const LATE_MS = 1_000;

interface Pod extends Child {
  readonly port: number;
  probe(path: string): Promise<{ status: number; body: string }>;
  readonly exited: Promise<unknown[]>;
}

describe('examples/cluster', function () {
  this.timeout(120_000);
  const pods: Pod[] = [];
  const clients: Client[] = [];

  afterEach(async () => {
    for (const client of clients.splice(0)) client.stop();
    for (const { process: primary } of pods.splice(0)) {
      try {
        process.kill(-primary.pid!, 'SIGKILL');
      } catch {
        // It has ended.
      }
    }
  });

  const startPod = async (): Promise<Pod> => {
    const [port, management] = [await freePort(), await freePort()];
    // With a drain delay, as in Kubernetes.
    const env = { PORT: String(port), MANAGEMENT_PORT: String(management), DEAD_AFTER_MS: '2000', KUBERNETES_SERVICE_HOST: '10.0.0.1' };
    const child = startNode(projectPath('build/examples/cluster/primary.js'), env, { detached: true });
    const probe = (path: string) => ask(`http://127.0.0.1:${String(management)}${path}`);
    const pod = { ...child, port, probe, exited: once(child.process, 'exit') };
    pods.push(pod);
    await untilReady(pod);
    return pod;
  };

  const untilReady = (pod: Pod) => until(async () => (await pod.probe('/readyz?verbose')).body.includes('[+]workers-ready ok'), 30_000);

  const askWorker = async ({ port }: Pod) => Number((await ask(`http://127.0.0.1:${String(port)}/`)).body);

  it('passes by all kinds', async () => {
    const pod = await startPod();
    for (const path of ['/startupz', '/livez', '/readyz']) expect(await pod.probe(path)).to.deep.include({ status: 200, body: 'ok' });
  });

  // A request that is in flight in a worker that is killed is lost.
  it('replaces a worker that is blocked and one that is killed, under load, and loses no request when the pod is replaced then', async () => {
    const pod = await startPod();
    const client = startClient();
    clients.push(client);
    await client.ask('begin', { load: 'layer 7', port: pod.port });

    const blocked = ask(`http://127.0.0.1:${String(pod.port)}/?block=600000`).catch(() => {});
    await until(async () => (await pod.probe('/livez')).body.includes('has not reported for 2 s and is replaced'));
    expect((await pod.probe('/readyz')).status).to.equal(200);
    await until(() => /worker \d \(pid \d+\) ended by SIGKILL/.test(pod.output()));
    await blocked;
    await untilReady(pod);
    const killed = await askWorker(pod);
    process.kill(killed, 'SIGKILL');
    await until(() => pod.output().includes(`(pid ${String(killed)}) ended by SIGKILL`));
    expect((await pod.probe('/livez')).status).to.equal(200);
    await untilReady(pod);

    const successor = await startPod();
    const signalledAt = now();
    pod.process.kill('SIGTERM');
    await client.ask('move', { port: successor.port, at: signalledAt + LATE_MS });
    expect(await pod.exited).to.deep.equal([0, null]);
    const { sent, failures } = await client.ask('end');
    expect(
      failures.filter(({ at }) => at > signalledAt),
      pod.output(),
    ).to.deep.equal([]);
    expect(failures.filter(({ reason }) => reason === 'no answer')).to.deep.equal([]);
    expect(sent).to.be.greaterThan(1_000);
    expect(pod.output()).not.to.match(/is started again[^]*shutdown by SIGTERM[^]*is started again/);
  });
});
