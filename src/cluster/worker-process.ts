import cluster, { type ClusterSettings, type Worker } from 'node:cluster';
import { performance } from 'node:perf_hooks';
import { passOnConnections } from './handed-connections.js';
import { readReport, wrapOrder, type WorkerReport } from './messages.js';

/** How a process ended. */
export interface ProcessEnd {
  /** In words that the public may read. */
  readonly how: string;
  /** Why there never was a process. */
  readonly error?: unknown;
  readonly isClean: boolean;
}

export interface ProcessHost {
  /** What is forked. The application may have set up something else since, for other workers. */
  readonly settings: ClusterSettings;
  /** As the ages of reports are reckoned. */
  readonly now: () => number;
  /** Whether another worker could take a connection. */
  readonly hasOthers: () => boolean;
  readonly onReport: () => void;
  readonly onEnd: (end: ProcessEnd) => void;
}

/**
 * One process of a worker, from its start to its end, and what it has said of itself.
 *
 * @throws whatever node:cluster throws where the system gives no process.
 */
export class WorkerProcess {
  readonly worker: Worker;
  readonly startedAt: number;
  readonly #bornAt = performance.now();
  report: WorkerReport | undefined;
  /** When it last reported, and when it last reported that it is live. Before its first report: when it was started. */
  reportedAt: number;
  liveAt: number;
  #mayListen = true;
  #hasEnded = false;

  constructor(
    environment: Readonly<Record<string, string>>,
    private readonly host: ProcessHost,
  ) {
    this.startedAt = this.reportedAt = this.liveAt = host.now();
    cluster.setupPrimary(host.settings);
    this.worker = cluster.fork(environment);
    passOnConnections(this.worker, host.hasOthers);
    this.worker.on('message', this.#onMessage);
    this.worker.once('exit', this.#onExit);
    this.worker.on('error', this.#onError);
  }

  get pid(): number | undefined {
    return this.worker.process.pid;
  }

  get lifetimeMs(): number {
    return performance.now() - this.#bornAt;
  }

  /** Whether its servers may take connections. It is told when that changes, and when it listens to what it is told. */
  order(mayListen: boolean): void {
    if (mayListen === this.#mayListen || this.report === undefined || !this.worker.isConnected()) return;
    this.#mayListen = mayListen;
    // It may have ended meanwhile.
    this.worker.send(wrapOrder({ mayListen }), undefined, undefined, () => {});
  }

  kill(signal: 'SIGTERM' | 'SIGKILL'): void {
    this.worker.process.kill(signal);
  }

  readonly #onMessage = (message: unknown): void => {
    const report = readReport(message);
    if (report === undefined) return;
    this.report = report;
    this.reportedAt = this.host.now();
    if (report.notLive.length === 0) this.liveAt = this.reportedAt;
    this.host.onReport();
  };

  readonly #onExit = (code: number | null, signal: string | null): void => {
    // A signal that comes before anything is served ends nothing.
    const isClean = code === 0 || (signal === 'SIGTERM' && this.report === undefined);
    this.#end({ how: describeExit(code, signal), isClean });
  };

  /** Without a process there is no exit to wait for. Other errors are of the channel, and the process goes on. */
  readonly #onError = (error: unknown): void => {
    if (this.pid === undefined) this.#end({ how: 'could not be started', error, isClean: false });
  };

  #end(end: ProcessEnd): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.host.onEnd(end);
  }
}

function describeExit(code: number | null, signal: string | null): string {
  return signal === null ? `ended with exit code ${String(code)}` : `ended by ${signal}`;
}
