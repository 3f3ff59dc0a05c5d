import cluster from 'node:cluster';
import type { Server } from 'node:net';
import { performance } from 'node:perf_hooks';
import { ConfigurationError } from '../errors.js';
import { LIFECYCLE } from '../registry/definition.js';
import type { ProbeChange } from '../registry/events.js';
import { isInspected } from '../registry/inspection.js';
import type { ProbeRegistry } from '../registry/registry.js';
import type { ProbeReport } from '../report/report.js';
import { checkRegistry, readServers } from '../shutdown/arguments.js';
import { WORKER_VARIABLE } from '../shutdown/options.js';
import { readOrder, wrapReport, type WorkerSettings } from './messages.js';
import { WorkerListener } from './worker-listener.js';

const SUBJECT = 'reportToPrimary()';

/** Whether this process reports already, by any installed copy of the package. */
const REPORTING = Symbol.for('koa-probes.reporting');

/** Until the startup probes have passed, they are run at least this often. */
const STARTING_INTERVAL_MS = 500;

const MOST_FAILURES = 5;
const LONGEST_FAILURE = 200;

/**
 * Tells the primary of a cluster, which calls `clusterProbes()`, whether this worker is live, ready and started: at an interval, and at once when the lifecycle changes.
 * While the worker is not ready and another one is, its servers do not listen, and answers tell their clients to leave the connection. It ends with the registry.
 *
 * Takes servers as `gracefulShutdown()` does: one, several, or `[]`. Call it early, before the servers listen and before `discoverProbes(container, { registry })`.
 *
 * @throws ConfigurationError in a process that is no worker of `clusterProbes()`, for a server that listens already, and if it is called twice.
 */
export function reportToPrimary(servers: Server | readonly Server[], probes: ProbeRegistry): void {
  checkRegistry(SUBJECT, probes);
  const distinct = readServers(SUBJECT, servers);
  if (isInspected()) return;
  const settings = readSettings();
  const listening = distinct.find((server) => server.listening);
  if (listening !== undefined) {
    throw new ConfigurationError(
      `${SUBJECT} was given a server that listens already, and could not make it listen again. Call it before server.listen().`,
    );
  }
  if (probes.isClosed) {
    throw new ConfigurationError(`${SUBJECT} cannot run the probes of a registry that is closed. Call it before probes.close().`);
  }
  beOnlyOne();
  new Reporter(probes, distinct, settings).begin();
}

function readSettings(): WorkerSettings {
  if (!cluster.isWorker) {
    throw new ConfigurationError(
      `${SUBJECT} was called in a process that is no worker of node:cluster. Call it where \`cluster.isWorker\` is true: \`if (cluster.isWorker) reportToPrimary(server, probes)\`.`,
    );
  }
  const text = process.env[WORKER_VARIABLE];
  if (text === undefined) {
    throw new ConfigurationError(
      `${SUBJECT} was called in a worker that was not started by clusterProbes(), so that nobody would hear it. Call \`clusterProbes({ workers: 2 })\` in the primary.`,
    );
  }
  return JSON.parse(text) as WorkerSettings;
}

function beOnlyOne(): void {
  const shared = globalThis as { [REPORTING]?: true };
  if (shared[REPORTING]) {
    throw new ConfigurationError(
      `${SUBJECT} was called twice in one worker. Call it once, with all servers: \`reportToPrimary([server, other], probes)\`.`,
    );
  }
  shared[REPORTING] = true;
}

/** The runs of a worker's probes, and the reports. */
class Reporter {
  readonly #listeners: readonly WorkerListener[];
  #notLive: readonly string[] = [];
  #notReady: readonly string[] | undefined;
  #hasStarted = false;
  #beat: NodeJS.Timeout | undefined;
  #next: NodeJS.Timeout | undefined;
  #isRunning = false;
  /** Whether another run begins as soon as that in flight is over. */
  #isHurried = false;
  #isOver = false;

  constructor(
    private readonly probes: ProbeRegistry,
    servers: readonly Server[],
    private readonly settings: WorkerSettings,
  ) {
    this.#listeners = servers.map((server) => new WorkerListener(server, probes.logger, this.#onListening));
  }

  begin(): void {
    process.on('message', this.#onMessage);
    this.probes.on('change', this.#onChange).once('close', this.#end);
    this.#beat = setInterval(() => this.#send(), this.settings.beatMs).unref();
    this.#send();
    // Whatever follows in this turn, like discoverProbes(), is part of the start.
    setImmediate(() => this.#hurry());
  }

  readonly #onMessage = (message: unknown): void => {
    const order = readOrder(message);
    // A graceful shutdown closes the listeners itself, at its own time.
    if (order === undefined || this.probes.lifecycle.state === 'draining') return;
    for (const listener of this.#listeners) listener.allow(order.mayListen);
  };

  /** A toggle counts at once, here as in an answer. */
  readonly #onChange = ({ name, previous }: ProbeChange): void => {
    if (name !== LIFECYCLE || previous === undefined) return;
    if (this.probes.lifecycle.state === 'draining') for (const listener of this.#listeners) listener.release();
    this.#hurry();
  };

  readonly #onListening = (): void => {
    this.#noteStart();
    this.#send();
  };

  #hurry(): void {
    if (this.#isRunning) this.#isHurried = true;
    else if (!this.#isOver) void this.#run();
  }

  readonly #end = (): void => {
    this.#isOver = true;
    clearInterval(this.#beat);
    clearTimeout(this.#next);
    process.off('message', this.#onMessage);
    this.probes.off('change', this.#onChange);
    for (const listener of this.#listeners) listener.release();
    // Of the worker's own channel Node makes a reason to go on.
    process.channel?.unref();
  };

  async #run(): Promise<void> {
    clearTimeout(this.#next);
    const startedAt = performance.now();
    this.#isRunning = true;
    this.#isHurried = false;
    const [live, ready] = await Promise.all([this.probes.run('liveness'), this.probes.run('readiness')]);
    this.#isRunning = false;
    if (this.#isOver) return;
    this.#notLive = failuresOf(live);
    this.#notReady = failuresOf(ready);
    this.#noteStart();
    this.#send();
    if (this.#isHurried) return this.#run();
    const intervalMs = this.#hasStarted ? this.settings.intervalMs : Math.min(this.settings.intervalMs, STARTING_INTERVAL_MS);
    this.#next = setTimeout(() => void this.#run(), Math.max(0, startedAt + intervalMs - performance.now())).unref();
  }

  #noteStart(): void {
    this.#hasStarted ||= this.#notReady !== undefined && this.#isListening && this.probes.lifecycle.state === 'running';
  }

  get #isListening(): boolean {
    return this.#listeners.every(({ isListening }) => isListening);
  }

  #send(): void {
    if (!process.connected) return;
    const { lifecycle, serving } = this.probes;
    const shutdowns = serving.shutdowns.map(({ here }) => here.timeoutMs);
    const report = wrapReport({
      notLive: this.#notLive,
      notReady: this.#notReady,
      isListening: this.#isListening,
      hasStarted: this.#hasStarted,
      isDraining: lifecycle.state === 'draining',
      shutdownMs: shutdowns.length === 0 ? undefined : Math.max(...shutdowns),
      rss: process.memoryUsage.rss(),
    });
    // The primary may have ended meanwhile.
    process.send?.(report, undefined, {}, () => {});
  }
}

/** For the public, like an answer. A reason that is withheld is in the log of the worker. */
function failuresOf({ results }: ProbeReport): string[] {
  const failed = results.filter(({ status }) => status === 'fail');
  const lines = failed.slice(0, MOST_FAILURES).map(({ name, failure }) => `${name}: ${failure?.reason ?? ''}`.slice(0, LONGEST_FAILURE));
  return failed.length > MOST_FAILURES ? [...lines, `${String(failed.length - MOST_FAILURES)} more`] : lines;
}
