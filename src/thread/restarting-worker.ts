import { Worker } from 'node:worker_threads';
import { ConfigurationError, describeError } from '../errors.js';
import type { ThreadData, ToMain, ToWorker } from './messages.js';
import { PROGRAM } from './program.js';

export interface WorkerListener {
  /** It has been started, again perhaps: whatever it is to know can be posted. */
  onStart(): void;
  onMessage(message: ToMain): void;
  /** It has ended by itself, and is started again after the back-off. */
  onEnd(reason: string, backOffMs: number): void;
}

const FIRST_BACK_OFF_MS = 100;
const LONGEST_BACK_OFF_MS = 60_000;

/** A worker that has run for so long has recovered. */
const RECOVERED_AFTER_MS = 60_000;

/** Runs the program in a worker thread, and starts it again if it ends by itself. It keeps the process alive only while somebody holds it. */
export class RestartingWorker {
  #worker: Worker | undefined;
  #timer: NodeJS.Timeout | undefined;
  #startedAt = 0;
  #backOffMs = FIRST_BACK_OFF_MS;
  #holds = 0;

  constructor(
    private readonly data: ThreadData,
    private readonly listener: WorkerListener,
  ) {}

  /** @throws ConfigurationError if Node does not start it. */
  start(): void {
    const worker = createWorker(this.data);
    this.#worker = worker;
    this.#startedAt = performance.now();
    if (this.#holds === 0) worker.unref();
    let reason = 'it exited';
    worker.on('error', (error) => (reason = describeError(error)));
    worker.on('message', (message: ToMain) => this.listener.onMessage(message));
    worker.once('exit', () => {
      if (this.#worker === worker) this.#restart(reason);
    });
    this.listener.onStart();
  }

  get isRunning(): boolean {
    return this.#worker !== undefined;
  }

  /** What is posted while it does not run is lost. */
  post(message: ToWorker): void {
    this.#worker?.postMessage(message);
  }

  /** Keeps the process alive until the function that it returns is called. */
  hold(): () => void {
    this.#holds += 1;
    this.#worker?.ref();
    return () => {
      this.#holds -= 1;
      if (this.#holds === 0) this.#worker?.unref();
    };
  }

  /** Ends the worker, which is of no use, and starts another one after the back-off. */
  async fail(reason: string): Promise<void> {
    const worker = this.#worker;
    this.#restart(reason);
    await worker?.terminate();
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }

  #restart(reason: string): void {
    this.#worker = undefined;
    if (performance.now() - this.#startedAt > RECOVERED_AFTER_MS) this.#backOffMs = FIRST_BACK_OFF_MS;
    const backOffMs = this.#backOffMs;
    this.#backOffMs = Math.min(backOffMs * 2, LONGEST_BACK_OFF_MS);
    this.#timer = setTimeout(() => this.#tryToStart(), backOffMs).unref();
    this.listener.onEnd(reason, backOffMs);
  }

  /** The system may have no memory for a thread now. */
  #tryToStart(): void {
    try {
      this.start();
    } catch (error) {
      this.#restart(describeError(error));
    }
  }
}

/** No arguments and no environment of the process: agents that they name would be loaded again. */
function createWorker(workerData: ThreadData): Worker {
  try {
    return new Worker(PROGRAM, { eval: true, name: 'koa-probes', execArgv: [], env: {}, workerData });
  } catch (error) {
    const isForbidden = (error as NodeJS.ErrnoException).code === 'ERR_ACCESS_DENIED';
    const problem = isForbidden
      ? 'the permission model of Node forbids it. Start Node with --allow-worker, or leave `thread` out.'
      : describeError(error);
    throw new ConfigurationError(`The thread of the probes cannot be started: ${problem}`, { cause: error });
  }
}
