import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'chai';
import { Cluster } from '../support/clusters.js';
import { startClient, type Client } from '../support/clients.js';
import { until } from '../support/processes.js';

/** Of the load of layer 7, each with one request at a time. */
const USERS = 60;

describe('workers under load', function () {
  this.timeout(120_000);
  let cluster: Cluster;
  let client: Client;

  const begin = async (environment: Readonly<Record<string, unknown>>) => {
    cluster = Cluster.start(environment);
    await cluster.untilReady;
    const [, port] = await until(() => /serves on (\d+)/.exec(cluster.log));
    client = startClient();
    await client.ask('begin', { load: 'layer 7', port: Number(port) });
  };

  afterEach(async () => {
    client.stop();
    await cluster.kill();
  });

  for (const policy of ['rr', 'none']) {
    it(`lose no request when they stop listening and listen again, with the scheduling policy ${policy}`, async () => {
      await begin({ NODE_CLUSTER_SCHED_POLICY: policy });
      const workers = await cluster.workers(2);
      for (const pid of [...workers, ...workers, ...workers]) {
        process.kill(pid, 'SIGUSR2');
        await cluster.untilAnswered('/readyz?verbose', 200, 'degraded: 1 of 2 workers are ready');
        await pause(300);
        process.kill(pid, 'SIGUSR2');
        await cluster.untilReady;
      }
      const { sent, failures } = await client.ask('end');
      expect(failures).to.deep.equal([]);
      expect(sent).to.be.greaterThan(300);
    });
  }

  // What a worker is doing when it dies cannot be saved, and nobody else may do it again. Its other connections break too, and a client may be about to send on one.
  it('lose no request but those of a worker that crashes or is blocked', async () => {
    await begin({ CLUSTER: { workers: 3, notReadyAfterMs: 400, deadAfterMs: 1_500, killAfterMs: 500 } });
    const lost: Promise<unknown>[] = [];
    for (const path of ['/crash', '/block?with=600000', '/crash']) {
      lost.push(cluster.ask(path).catch(() => {}));
      await cluster.untilAnswered('/readyz?verbose', 200, 'degraded: 2 of 3 workers are ready');
      await cluster.untilReady;
    }
    const { sent, failures } = await client.ask('end');
    await Promise.all(lost);
    const reasons = new Set(failures.map(({ reason }) => reason));
    expect(['ECONNRESET', 'EPIPE', 'closed before the answer']).to.include.members([...reasons]);
    expect(failures.length).to.be.at.most(3 * USERS);
    expect(sent).to.be.greaterThan(1_000);
  });
});
