import { once } from 'node:events';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { expect } from 'chai';
import { ConfigurationError, ProbeRegistry } from 'koa-probes';
import { clusterProbes, reportToPrimary, type ClusterOptions } from 'koa-probes/cluster';
import { Cluster } from '../support/clusters.js';
import { projectPath } from '../support/consumer.js';
import { startNode } from '../support/processes.js';

describe('clusterProbes(options), used wrongly,', () => {
  const wrong: readonly [string, unknown, string][] = [
    ['without options', undefined, 'Expected the options of clusterProbes() to be an object, got `undefined`.'],
    ['without workers', {}, 'Expected `workers` of clusterProbes() to be a whole number from 1 to 1000, got `undefined`.'],
    ['with no worker', { workers: 0 }, 'Expected `workers` of clusterProbes() to be a whole number from 1 to 1000, got `0` (number).'],
    ['with half a worker', { workers: 1.5 }, 'to be a whole number from 1 to 1000, got `1.5` (number).'],
    [
      'with workers of an environment that is not set',
      { workers: Number(undefined) },
      'to be a whole number from 1 to 1000, got `NaN` (number).',
    ],
    ['with a string of the environment', { workers: '2' }, 'to be a whole number from 1 to 1000, got "2".'],
    [
      'with minReady 0',
      { workers: 2, minReady: 0 },
      'Expected `minReady` of clusterProbes() to be a whole number from 1 to 1000, got `0` (number).',
    ],
    [
      'with more ready workers than workers',
      { workers: 2, minReady: 3 },
      '`minReady` of clusterProbes() is 3, and `workers` is 2: the pod would never be ready. Lower `minReady`, or start more workers.',
    ],
    [
      'with a time that is none',
      { workers: 2, killAfterMs: -1 },
      'Expected `killAfterMs` of clusterProbes() to be a number of milliseconds from 1 to 3600000, got `-1` (number).',
    ],
    [
      'with a silence that is too short',
      { workers: 2, notReadyAfterMs: 50 },
      '`notReadyAfterMs` of clusterProbes() is 50: a worker that is only busy would not be ready. Raise it to 100 or more.',
    ],
    [
      'with workers that are replaced before they stop being ready',
      { workers: 2, deadAfterMs: 1_000 },
      '`deadAfterMs` of clusterProbes() is 1000, and `notReadyAfterMs` is 1000: a worker has to stop being ready before it is replaced. Raise `deadAfterMs`.',
    ],
    [
      'with an option that there is not',
      { workers: 2, exec: 'server.js' },
      'Unknown option `exec` of clusterProbes(). Known options: `workers`, `minReady`,',
    ],
    ['with a logger that is none', { workers: 2, logger: {} }, 'Expected `logger` of the registry to have the methods'],
  ];
  for (const [title, options, message] of wrong) {
    it(`${title}, says so and starts no process`, () => {
      expect(() => clusterProbes(options as ClusterOptions)).to.throw(ConfigurationError, message);
    });
  }

  it('in a worker, says what to call there', async () => {
    const cluster = Cluster.start({ WORKER_PROGRAM: 'wrong-worker.js', MISUSE: 'clusterProbes', CLUSTER: { workers: 1 } });
    try {
      await cluster.said(
        'clusterProbes() was called in a worker of node:cluster. Call it in the primary, where `cluster.isPrimary` is true, and reportToPrimary(server, probes) in the worker. ' +
          'Where the workers have a program of their own, name it before: `cluster.setupPrimary({ exec })`.',
      );
    } finally {
      await cluster.kill();
    }
  });

  it('in a worker thread, says where it belongs', async () => {
    const url = new URL(`file://${projectPath('dist/cluster/cluster.js')}`).href;
    const thread = new Worker(`import('${url}').then(({ clusterProbes }) => clusterProbes({ workers: 2 }))`, { eval: true });
    const [error] = (await once(thread, 'error')) as [Error];
    expect(error.message).to.equal('clusterProbes() was called in a worker thread, which gets no signals. Call it in the main thread.');
  });
});

describe('reportToPrimary(servers, probes), used wrongly,', () => {
  const probes = new ProbeRegistry({ logger: false });

  it('in a process that is no worker, says where it belongs', () => {
    expect(() => reportToPrimary(createServer(), probes)).to.throw(
      ConfigurationError,
      'reportToPrimary() was called in a process that is no worker of node:cluster. Call it where `cluster.isWorker` is true: `if (cluster.isWorker) reportToPrimary(server, probes)`.',
    );
  });

  it('with something else than servers and a registry, says what it takes', () => {
    expect(() => reportToPrimary({} as never, probes)).to.throw(
      ConfigurationError,
      'Expected `servers` of reportToPrimary() to be a server or an array of servers, got an object.',
    );
    expect(() => reportToPrimary([], undefined as never)).to.throw(
      ConfigurationError,
      'Expected `probes` of reportToPrimary() to be a ProbeRegistry, got `undefined`.',
    );
  });

  it('in a worker of another primary, says that nobody would hear it', async () => {
    const child = startNode(fileURLToPath(new URL('programs/wrong-worker.js', import.meta.url)), { MISUSE: 'unwatched' });
    await once(child.process, 'close');
    expect(child.output()).to.equal(
      'ConfigurationError: reportToPrimary() was called in a worker that was not started by clusterProbes(), so that nobody would hear it. Call `clusterProbes({ workers: 2 })` in the primary.\n',
    );
  });

  const misuses: readonly [string, string, string][] = [
    [
      'twice',
      'twice',
      'reportToPrimary() was called twice in one worker. Call it once, with all servers: `reportToPrimary([server, other], probes)`.',
    ],
    [
      'with a server that listens already',
      'listening',
      'reportToPrimary() was given a server that listens already, and could not make it listen again. Call it before server.listen().',
    ],
    [
      'with a registry that is closed',
      'closed',
      'reportToPrimary() cannot run the probes of a registry that is closed. Call it before probes.close().',
    ],
  ];
  for (const [title, misuse, message] of misuses) {
    it(`${title}, says so`, async () => {
      const cluster = Cluster.start({ WORKER_PROGRAM: 'wrong-worker.js', MISUSE: misuse, CLUSTER: { workers: 1 } });
      try {
        await cluster.said(`ConfigurationError: ${message}`);
      } finally {
        await cluster.kill();
      }
    });
  }
});
