import cluster from 'node:cluster';
import { isMainThread } from 'node:worker_threads';
import { ConfigurationError, Degraded, NotReady } from '../errors.js';
import type { ProbeKind } from '../probe.js';
import { isInspected } from '../registry/inspection.js';
import { ProbeRegistry } from '../registry/registry.js';
import { resolveClusterOptions, type ClusterOptions, type ResolvedClusterOptions } from './options.js';
import { ShutdownCheck } from './shutdown-check.js';
import { Workers, type NumberedState } from './workers.js';

const MOST_PROBLEMS = 5;

/** One for each kind: the result of a probe counts for all its kinds. */
const NAMES: Readonly<Record<ProbeKind, string>> = { liveness: 'workers-live', readiness: 'workers-ready', startup: 'workers-started' };

/**
 * Starts the workers of a `node:cluster` from its primary, watches and replaces them, and gives the registry by which the primary answers for all of them.
 * The pod is live while each worker reports that it is, ready with `minReady` workers, and started once all have. In each worker `reportToPrimary(server, probes)` reports.
 *
 * What is started, and how connections are given to the workers, is that of `cluster.setupPrimary()` and `cluster.schedulingPolicy`, to be set before.
 * With `gracefulShutdown([], probes)` in the primary, a signal ends the workers gracefully, and then the primary.
 *
 * @throws ConfigurationError if an option is out of its range, and anywhere but in the main thread of the primary.
 */
export function clusterProbes(options: ClusterOptions): ProbeRegistry {
  const resolved = resolveClusterOptions(options);
  checkProcess();
  const probes = new ProbeRegistry({ logger: options.logger });
  const { lifecycle } = probes;
  const shutdownCheck = new ShutdownCheck(probes);
  const runSoon = collect(() => void runAll(probes));
  const workers = new Workers(resolved, {
    logger: probes.logger,
    isDraining: () => lifecycle.state === 'draining',
    onChange() {
      shutdownCheck.look(workers.reports);
      runSoon();
    },
  });
  registerProbes(probes, workers, resolved);
  if (isInspected()) return probes;

  probes.on('shutdown', ({ phase }) => {
    if (phase === 'draining') workers.leave((name) => lifecycle.holdShutdown(name), noteEnd);
    if (phase === 'timed out') workers.kill();
  });
  probes.once('close', () => {
    workers.leave(() => () => {}, noteEnd);
    workers.stop();
  });
  workers.start();
  return probes;
}

function checkProcess(): void {
  if (cluster.isWorker) {
    throw new ConfigurationError(
      'clusterProbes() was called in a worker of node:cluster. Call it in the primary, where `cluster.isPrimary` is true, and reportToPrimary(server, probes) in the worker. ' +
        'Where the workers have a program of their own, name it before: `cluster.setupPrimary({ exec })`.',
    );
  }
  if (!isMainThread) {
    throw new ConfigurationError('clusterProbes() was called in a worker thread, which gets no signals. Call it in the main thread.');
  }
}

/** The exit code of the primary. */
function noteEnd(isClean: boolean): void {
  if (!isClean) process.exitCode ||= 1;
}

function registerProbes(probes: ProbeRegistry, workers: Workers, { minReady }: ResolvedClusterOptions): void {
  // They look at what is known.
  const register = (kind: ProbeKind, judge: (states: readonly NumberedState[]) => unknown) => {
    // While the application drains, the workers end one after another, and the lifecycle says so.
    const check = () => (probes.lifecycle.state === 'draining' ? undefined : judge(workers.states));
    probes.register({ name: NAMES[kind], kinds: [kind], check });
  };
  register('liveness', judgeLiveness);
  register('readiness', (states) => judgeReadiness(states, minReady));
  register('startup', judgeStartup);
}

function judgeLiveness(states: readonly NumberedState[]): object {
  const dead = states.filter(({ life }) => life === 'dead');
  const late = states.filter(({ life }) => life === 'late');
  if (dead.length > 0) throw new NotReady(describeProblems([...dead, ...late]));
  if (late.length > 0) throw new Degraded(describeProblems(late));
  return { workers: states.length };
}

function judgeReadiness(states: readonly NumberedState[], minReady: number): object {
  const unready = states.filter(({ isReady }) => !isReady);
  const ready = states.length - unready.length;
  const summary = `${String(ready)} of ${String(states.length)} workers are ready`;
  if (ready < minReady) throw new NotReady(`${summary}, and ${String(minReady)} must be: ${describeProblems(unready)}`);
  if (unready.length > 0) throw new Degraded(`${summary}: ${describeProblems(unready)}`);
  return { workers: states.length, ready };
}

function judgeStartup(states: readonly NumberedState[]): object {
  const missing = states.filter(({ hasStarted }) => !hasStarted);
  if (missing.length === 0) return { workers: states.length };
  throw new NotReady(
    `${String(states.length - missing.length)} of ${String(states.length)} workers have started: ${describeProblems(missing)}`,
  );
}

function describeProblems(states: readonly NumberedState[]): string {
  const problems = states.slice(0, MOST_PROBLEMS).map(({ number, problem }) => `worker ${String(number)} ${problem}`);
  return states.length > MOST_PROBLEMS ? `${problems.join(', ')}, and ${String(states.length - MOST_PROBLEMS)} more` : problems.join(', ');
}

/** Tells a change now, and not at the next request. Before all have started, the startup probe tells enough. */
async function runAll(probes: ProbeRegistry): Promise<void> {
  if (probes.isClosed || probes.lifecycle.state === 'draining') return;
  await probes.run('startup', { only: NAMES.startup });
  if (probes.lifecycle.state !== 'running') return;
  await Promise.all([probes.run('liveness', { only: NAMES.liveness }), probes.run('readiness', { only: NAMES.readiness })]);
}

/** Calls it once for all calls of one turn of the event loop. */
function collect(act: () => void): () => void {
  let isDue = false;
  return () => {
    if (isDue) return;
    isDue = true;
    setImmediate(() => {
      isDue = false;
      act();
    });
  };
}
