import { Agent } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'chai';
import { Cluster, isAlive } from '../support/clusters.js';
import { until } from '../support/processes.js';

describe('clusterProbes(options)', function () {
  this.timeout(60_000);
  const started: Cluster[] = [];
  const agents: Agent[] = [];

  afterEach(async () => {
    for (const agent of agents.splice(0)) agent.destroy();
    await Promise.all(started.splice(0).map((cluster) => cluster.kill()));
  });

  const start = (environment: Readonly<Record<string, unknown>> = {}) => {
    const cluster = Cluster.start(environment);
    started.push(cluster);
    return cluster;
  };

  /** A client that keeps its one connection. */
  const keep = () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    agents.push(agent);
    return agent;
  };

  describe('when all workers report', () => {
    it('is started, ready and live, and shows how many there are', async () => {
      const cluster = start({ CLUSTER: { workers: 3 } });
      await cluster.untilReady;
      for (const path of ['/startupz', '/readyz', '/livez']) expect((await cluster.answers(path)).body).to.equal('ok');
      expect((await cluster.answers('/readyz/workers-ready?verbose')).body).to.equal(
        '[+]workers-ready ok\nreadyz/workers-ready check passed\n',
      );
      expect(new Set(await cluster.workers(3)).size).to.equal(3);
    });

    it('tells of the start in two lines', async () => {
      const cluster = start();
      await cluster.said('passes for the first time');
      const lines = cluster.log.split('\n').filter((line) => line.includes('koa-probes:'));
      expect(lines[0]).to.include(
        'startup probe workers-started has not passed yet: 0 of 2 workers have started: worker 1 is starting, worker 2 is starting',
      );
      expect(lines.filter((line) => !line.includes('workers-started has'))).to.have.lengthOf(1);
    });
  });

  describe('when a worker has not started', () => {
    it('is neither started nor ready, and names the worker and its probe', async () => {
      const cluster = start({ STARTS_COLD: 'yes' });
      const [first, second] = await cluster.workers(2);
      await cluster.untilAnswered(
        '/startupz',
        503,
        '0 of 2 workers have started: worker 1 is not ready (lifecycle: starting: waiting for cache)',
      );
      process.kill(first!, 'SIGHUP');
      await cluster.untilAnswered('/startupz', 503, '1 of 2 workers have started');
      await cluster.untilAnswered('/readyz', 503, 'starting: waiting for workers-started');
      expect((await cluster.answers('/livez')).status).to.equal(200);
      process.kill(second!, 'SIGHUP');
      await cluster.untilReady;
    });
  });

  for (const policy of ['rr', 'none']) {
    describe(`when a worker is not ready, with the scheduling policy ${policy}`, () => {
      it('is ready with `minReady` others, and names the worker', async () => {
        const cluster = start({ NODE_CLUSTER_SCHED_POLICY: policy, CLUSTER: { workers: 3, minReady: 2 } });
        await cluster.untilReady;
        const [first, second] = await cluster.workers(3);
        process.kill(first!, 'SIGUSR2');
        await cluster.untilAnswered(
          '/readyz?verbose',
          200,
          /workers-ready degraded: 2 of 3 workers are ready: worker \d is not ready \(lifecycle: switched off\)/,
        );
        process.kill(second!, 'SIGUSR2');
        await cluster.untilAnswered('/readyz', 503, '1 of 3 workers are ready, and 2 must be');
        process.kill(first!, 'SIGUSR2');
        process.kill(second!, 'SIGUSR2');
        await cluster.untilReady;
      });

      it('gives it no connections until it is ready again, and loses none', async () => {
        const cluster = start({ NODE_CLUSTER_SCHED_POLICY: policy });
        await cluster.untilReady;
        const [first, second] = await cluster.workers(2);
        process.kill(first!, 'SIGUSR2');
        await cluster.untilAnswered('/readyz?verbose', 200, '1 of 2 workers are ready');
        const asked = await Promise.all(Array.from({ length: 40 }, () => cluster.ask()));
        expect(new Set(asked.map(({ body }) => body))).to.deep.equal(new Set([String(second)]));
        process.kill(first!, 'SIGUSR2');
        await cluster.untilReady;
        expect(new Set(await cluster.workers(2))).to.deep.equal(new Set([first, second]));
        expect(cluster.count(' listens\n')).to.equal(2);
      });

      it('tells the clients of the connections that it has to leave it, and says nothing of a closed server', async () => {
        const cluster = start({ NODE_CLUSTER_SCHED_POLICY: policy });
        await cluster.untilReady;
        await cluster.workers(2);
        const agent = keep();
        const kept = await cluster.ask('/', agent);
        expect(kept.headers.connection).to.equal('keep-alive');
        process.kill(Number(kept.body), 'SIGUSR2');
        await cluster.untilAnswered('/readyz?verbose', 200, '1 of 2 workers are ready');
        const last = await until(async () => {
          const answer = await cluster.ask('/', agent);
          return answer.headers.connection === 'close' && answer;
        });
        expect(last.body).to.equal(kept.body);
        expect((await cluster.ask('/', agent)).body).not.to.equal(kept.body);
        process.kill(Number(kept.body), 'SIGUSR2');
        await cluster.untilReady;
        await cluster.workers(2);
        expect(cluster.log).not.to.include('its server is closed');
      });

      it('lets all of them listen if none is ready', async () => {
        const cluster = start({ NODE_CLUSTER_SCHED_POLICY: policy });
        await cluster.untilReady;
        const [first, second] = await cluster.workers(2);
        process.kill(first!, 'SIGUSR2');
        await cluster.untilAnswered('/readyz?verbose', 200, '1 of 2 workers are ready');
        process.kill(second!, 'SIGUSR2');
        await cluster.untilAnswered('/readyz', 503, '0 of 2 workers are ready, and 1 must be');
        expect(new Set(await cluster.workers(2))).to.deep.equal(new Set([first, second]));
      });
    });
  }

  describe('when a worker crashes', () => {
    it('is replaced, and that is said once', async () => {
      const cluster = start();
      await cluster.untilReady;
      const before = await cluster.workers(2);
      await cluster.ask('/crash').catch(() => {});
      await cluster.said(/worker [12] \(pid \d+\) ended with exit code 3 after [\d.]+ m?s, it is started again in 250 ms/);
      expect((await cluster.answers('/livez')).status).to.equal(200);
      await cluster.untilReady;
      const after = await cluster.workers(2);
      expect(after.filter((pid) => before.includes(pid))).to.have.lengthOf(1);
      expect(cluster.count('ended with exit code 3 after')).to.equal(1);
    });

    it('again and again, tells of the crash loop and then is silent, and readiness shows it', async () => {
      const cluster = start({ CLUSTER: { workers: 2, minReady: 2 }, WORKER_PROGRAM: 'throwing-worker.js' });
      await cluster.said(
        /worker 1 \(pid \d+\) ended with exit code 1 after [\d.]+ m?s, 3 times in a row: it is started again in 1 s, and ever more rarely/,
      );
      await cluster.untilAnswered('/readyz', 503, 'worker 1 is in a crash loop, and ended with exit code 1');
      await until(() => cluster.count('Error: this worker throws') >= 10, 30_000);
      expect(cluster.log.split('\n').filter((line) => /worker 1 \(pid \d+\) ended/.test(line))).to.have.lengthOf(3);
    });

    it('that cannot be started, says why', async () => {
      const cluster = start({ SETTINGS: { cwd: '/nowhere' } });
      await cluster.said(/worker 1 could not be started: spawn \S+ ENOENT, it is started again in 250 ms/);
      await cluster.said(/worker 1 could not be started: spawn \S+ ENOENT, 3 times in a row/);
      await cluster.untilAnswered('/readyz', 503, 'worker 1 is in a crash loop, and could not be started');
    });
  });

  describe('when a worker is blocked', () => {
    const CLUSTER = { workers: 2, notReadyAfterMs: 400, deadAfterMs: 1_200, killAfterMs: 500 };

    it('for a while, is not ready meanwhile and warns in liveness', async () => {
      const cluster = start({ CLUSTER: { ...CLUSTER, minReady: 2, deadAfterMs: 60_000 } });
      await cluster.untilReady;
      void cluster.ask('/block?with=3000').catch(() => {});
      await cluster.untilAnswered('/readyz', 503, /1 of 2 workers are ready, and 2 must be: worker \d has not reported for [\d.]+ m?s/);
      await cluster.untilAnswered('/livez?verbose', 200, /\[\+]workers-live degraded: worker \d has not reported for/);
      await cluster.said('turns again');
      await cluster.untilReady;
      expect(cluster.log).not.to.include('sending');
    });

    it('for longer than `deadAfterMs`, replaces it, and says what it last knew of it', async () => {
      const cluster = start({ CLUSTER });
      await cluster.untilReady;
      const before = await cluster.workers(2);
      const lost = cluster.ask('/block?with=600000').then(
        () => 'answered',
        () => 'lost',
      );
      await cluster.untilAnswered('/livez', 503, /\[-]workers-live failed: worker \d has not reported for 1.2 s and is replaced/);
      await cluster.said(
        /worker \d \(pid \d+\) has not reported for 1.2 s and is replaced, sending SIGTERM. Last report: live, ready, \d+ MB of memory, running for/,
      );
      await cluster.said(/worker \d \(pid \d+\) has not reported for 500 ms after SIGTERM, sending SIGKILL/);
      await cluster.untilAnswered('/livez', 200);
      await cluster.untilReady;
      // What it was doing cannot be saved.
      expect(await lost).to.equal('lost');
      const after = await cluster.workers(2);
      expect(after.filter((pid) => before.includes(pid))).to.have.lengthOf(1);
    });

    it('hands the connection that waits for it to another worker when it is gone', async () => {
      const cluster = start({ CLUSTER });
      await cluster.untilReady;
      const before = await cluster.workers(2);
      void cluster.ask('/block?with=600000').catch(() => {});
      await cluster.said('does /block');
      const asked = await Promise.all(Array.from({ length: 10 }, () => cluster.ask()));
      expect(asked.map(({ status }) => status)).to.deep.equal(asked.map(() => 200));
      expect(cluster.log).to.include('sending SIGKILL');
      expect(before).to.include(Number(asked[0]?.body));
    });

    it('takes a block of the primary itself, or a pause of all of them, for none of a worker', async () => {
      const cluster = start({ CLUSTER, BLOCK_MS: '3000' });
      await cluster.untilReady;
      const before = await cluster.workers(2);
      cluster.primary.process.kill('SIGUSR2');
      await cluster.said('the primary turns again');
      await cluster.untilReady;
      cluster.signalGroup('SIGSTOP');
      await pause(3_000);
      cluster.signalGroup('SIGCONT');
      await cluster.untilReady;
      expect(new Set(await cluster.workers(2))).to.deep.equal(new Set(before));
      expect(cluster.log).not.to.include('sending');
    });
  });

  describe('when the liveness of a worker fails', () => {
    it('replaces it without losing what it is doing', async () => {
      const cluster = start({ CLUSTER: { deadAfterMs: 1_500 } });
      await cluster.untilReady;
      await cluster.workers(2);
      const agent = keep();
      const { body: pid } = await cluster.ask('/fail-liveness', agent);
      const slow = cluster.ask('/slow?with=4000', agent);
      await cluster.untilAnswered('/livez?verbose', 200, /degraded: worker \d is not live \(lifecycle: the consumer is stuck\)/);
      await cluster.said(
        `(pid ${pid}) has not been live for 1.5 s and is replaced, sending SIGTERM. Last report: not live (lifecycle: the consumer is stuck)`,
      );
      expect(await slow).to.deep.include({ status: 200, body: pid });
      await cluster.said(`(pid ${pid}) ended with exit code 0`);
      await cluster.untilReady;
      expect(cluster.log).not.to.include('SIGKILL');
    });

    it('kills it if it does not end within its own shutdown', async () => {
      const environment = { IGNORES_SIGTERM: 'yes', WORKER_SHUTDOWN: { signals: [], timeoutMs: 500 } };
      const cluster = start({ ...environment, CLUSTER: { deadAfterMs: 1_200 } });
      await cluster.untilReady;
      const { body: pid } = await cluster.ask('/fail-liveness');
      await cluster.said(`(pid ${pid}) has not ended within 1.5 s of its shutdown, sending SIGKILL`);
      await cluster.said(`(pid ${pid}) ended by SIGKILL`);
    });
  });

  describe('when a worker does not report', () => {
    it('from its start on, replaces it, and says what is missing in it', async () => {
      const cluster = start({ WORKER_PROGRAM: 'silent-worker.js', CLUSTER: { workers: 1, startTimeoutMs: 500 } });
      await cluster.said(
        /worker 1 \(pid \d+\) has not reported within 500 ms of its start and is replaced, sending SIGTERM. No report, running for .*: call reportToPrimary\(server, probes\) early in the worker/,
      );
      await until(() => cluster.count('has begun') === 2);
    });

    for (const path of ['/close', '/disconnect']) {
      it(`any more, because it has done ${path}, replaces it`, async () => {
        const cluster = start({ CLUSTER: { notReadyAfterMs: 400, deadAfterMs: 800, killAfterMs: 500 } });
        await cluster.untilReady;
        const { body: pid } = await cluster.ask(path).catch(() => ({ body: '' }));
        await cluster.said(new RegExp(`worker \\d \\(pid ${pid || '\\d+'}\\) (has not reported for 800 ms|ended)`));
        await cluster.untilReady;
      });
    }
  });

  describe('when a worker shuts down by itself', () => {
    it('replaces it as soon as it has ended, and loses nothing', async () => {
      const cluster = start();
      await cluster.untilReady;
      await cluster.workers(2);
      const agent = keep();
      await cluster.ask('/', agent);
      const slow = cluster.ask('/slow?with=1000', agent);
      await cluster.said('does /slow');
      const [, slowPid = ''] = /worker (\d+) does \/slow/.exec(cluster.log) ?? [];
      process.kill(Number(slowPid), 'SIGTERM');
      expect(await slow).to.deep.include({ status: 200, body: slowPid });
      await cluster.said(`(pid ${slowPid}) ended with exit code 0`);
      await cluster.untilReady;
      expect((await cluster.workers(2)).map(String)).not.to.include(slowPid);
    });
  });

  describe('at a signal', () => {
    /** A request that is in flight when the signal comes. */
    const askSlowly = async (cluster: Cluster, ms: number) => {
      const answer = cluster.ask(`/slow?with=${String(ms)}`).then(
        ({ status }) => status,
        () => 'lost',
      );
      await cluster.said('does /slow');
      return { answer };
    };

    it('ends the workers first, with what they are doing, and then the primary', async () => {
      const cluster = start();
      await cluster.untilReady;
      const workers = await cluster.workers(2);
      const { answer } = await askSlowly(cluster, 1_500);
      cluster.primary.process.kill('SIGTERM');
      await cluster.untilAnswered('/readyz', 503, '[-]lifecycle failed: draining\n[+]workers-ready ok');
      expect((await cluster.answers('/livez')).status).to.equal(200);
      expect(await answer).to.equal(200);
      expect(await cluster.exited).to.deep.equal([0, null]);
      expect(workers.filter(isAlive)).to.deep.equal([]);
      expect(cluster.log).to.match(/worker \d \(pid \d+\) ended with exit code 0, and is not replaced[^]*the primary ends/);
      expect(cluster.log).not.to.include('is started again');
    });

    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      it(`${signal} of the whole group, and another SIGTERM of the group later, loses nothing`, async () => {
        const cluster = start();
        await cluster.untilReady;
        const { answer } = await askSlowly(cluster, 2_500);
        cluster.signalGroup(signal);
        await pause(1_200);
        cluster.signalGroup('SIGTERM');
        expect(await answer).to.equal(200);
        expect(await cluster.exited).to.deep.equal([0, null]);
        expect(cluster.log).to.include('SIGTERM again, the shutdown continues');
        expect(cluster.log).not.to.include('is started again');
      });
    }

    it('replaces no worker that is lost meanwhile, lets the others finish, and ends with 1', async () => {
      const cluster = start({ WORKER_SHUTDOWN: { drainDelayMs: 500 } });
      await cluster.untilReady;
      await cluster.workers(2);
      const agent = keep();
      const { body: killed } = await cluster.ask('/', agent);
      const { answer } = await askSlowly(cluster, 2_000);
      const [, busy] = /worker (\d+) does \/slow/.exec(cluster.log) ?? [];
      expect(busy).not.to.equal(killed);
      cluster.primary.process.kill('SIGTERM');
      await cluster.said('shutdown by SIGTERM');
      process.kill(Number(killed), 'SIGKILL');
      expect(await answer).to.equal(200);
      expect(await cluster.exited).to.deep.equal([1, null]);
      expect(cluster.log).to.include(`(pid ${killed}) ended by SIGKILL, and is not replaced: the application is draining`);
      expect(cluster.log).not.to.include('is started again');
    });

    it('starts no worker for one that has crashed just before', async () => {
      const cluster = start({ CLUSTER: { workers: 1 } });
      await cluster.untilReady;
      await cluster.ask('/crash').catch(() => {});
      await cluster.said('is started again in 250 ms');
      cluster.primary.process.kill('SIGTERM');
      expect(await cluster.exited).to.deep.equal([0, null]);
      expect(cluster.count(' listens\n')).to.equal(1);
    });

    it('during the start ends all of them with 0', async () => {
      const cluster = start({ CLUSTER: { workers: 4 } });
      await cluster.said('probes on');
      cluster.primary.process.kill('SIGTERM');
      expect(await cluster.exited).to.deep.equal([0, null]);
    });

    it('ends with 1 if a hook of a worker fails', async () => {
      const cluster = start({ HOOK: 'fails' });
      await cluster.untilReady;
      cluster.primary.process.kill('SIGTERM');
      expect(await cluster.exited).to.deep.equal([1, null]);
      expect(cluster.log).to.match(/ended with exit code 1, and is not replaced[^]*the primary ends/);
    });

    it('ends with 1 after a worker whose time is over, which tells what it was waiting for', async () => {
      const cluster = start({ HOOK: 'hangs', WORKER_SHUTDOWN: { timeoutMs: 500 } });
      await cluster.untilReady;
      cluster.primary.process.kill('SIGTERM');
      expect(await cluster.exited).to.deep.equal([1, null]);
      expect(cluster.log).to.match(/deadline exceeded, closing remaining connections; 1 background task \(hook\)[^]*the primary ends/);
    });

    it('leaves no worker that is blocked behind when the time of the primary is over', async () => {
      const cluster = start({ PRIMARY_SHUTDOWN: { timeoutMs: 1_000 }, WORKER_SHUTDOWN: { timeoutMs: 500 } });
      await cluster.untilReady;
      const workers = await cluster.workers(2);
      void cluster.ask('/block?with=600000').catch(() => {});
      await cluster.said('does /block');
      cluster.primary.process.kill('SIGTERM');
      expect(await cluster.exited).to.deep.equal([1, null]);
      await until(() => workers.filter(isAlive).length === 0);
      expect(cluster.log).to.match(/deadline exceeded[^;]*; 1 background task \(worker \d\)/);
    });
  });

  describe('when the primary crashes', () => {
    it('leaves no worker behind, also none that is blocked', async () => {
      const cluster = start();
      await cluster.untilReady;
      const workers = await cluster.workers(2);
      void cluster.ask('/block?with=600000').catch(() => {});
      await cluster.untilAnswered('/livez?verbose', 200, 'has not reported for');
      cluster.primary.process.kill('SIGHUP');
      expect(await cluster.exited).to.deep.equal([1, null]);
      await until(() => workers.filter(isAlive).length === 0);
    });
  });

  describe('warns once', () => {
    const warnings: readonly [string, Record<string, unknown>, string][] = [
      ['of a primary that does not shut down gracefully', { UNGRACEFUL: 'yes' }, 'the primary does not call gracefulShutdown()'],
      ['of a worker that does not', { UNGRACEFUL_WORKER: 'yes' }, 'a worker does not call gracefulShutdown()'],
      [
        'of a worker that has more time for it than the primary',
        { WORKER_SHUTDOWN: { timeoutMs: 25_000 } },
        'the shutdown of a worker may take 25000 ms, but the primary ends its workers 25000 ms after the signal',
      ],
    ];
    for (const [what, environment, words] of warnings) {
      it(what, async () => {
        const cluster = start(environment);
        await cluster.untilReady;
        await cluster.said(words);
        await cluster.ask('/crash').catch(() => {});
        await cluster.said('is started again');
        await cluster.untilReady;
        expect(cluster.count(words)).to.equal(1);
      });
    }
  });
});
