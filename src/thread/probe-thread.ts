import { performance } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';
import { ConfigurationError } from '../errors.js';
import type { ShutdownProgress } from '../lifecycle/lifecycle.js';
import { isSilent } from '../logger.js';
import type { ProbeKind } from '../probe.js';
import { COMPLAINT_PAUSES_MS, Pace } from '../registry/pace.js';
import type { ProbeRegistry } from '../registry/registry.js';
import { LoopBeat } from './loop-beat.js';
import { BlockLog } from './block-log.js';
import type { RequestCopy, ToMain } from './messages.js';
import { Part, type ThreadPart } from './part.js';
import { RestartingWorker } from './restarting-worker.js';
import { ResultFeed } from './result-feed.js';
import { SessionFlag } from './session-flag.js';

export interface OpenPart {
  /** Rejects with a ConfigurationError if the thread cannot begin with it. */
  readonly opened: Promise<void>;
  /** Resolves when the thread has ended it. May be called twice. */
  close(): Promise<void>;
}

/** The exit of the process waits so long, in milliseconds, for a session of the inspector to end. */
const SESSION_ENDS_WITHIN_MS = 200;

const threads = new WeakMap<ProbeRegistry, ProbeThread>();

/** The thread of a registry: one, whatever it does. It is started with its first part, and ends with its last. */
export function threadOf(probes: ProbeRegistry): ProbeThread {
  let thread = threads.get(probes);
  if (thread === undefined) threads.set(probes, (thread = new ProbeThread(probes, () => threads.delete(probes))));
  return thread;
}

/** The main thread's side of the worker thread that answers while the main loop is blocked. */
export class ProbeThread {
  readonly #beat = new LoopBeat();
  readonly #session = new SessionFlag();
  readonly #worker: RestartingWorker;
  readonly #feed: ResultFeed;
  readonly #blocks: BlockLog;
  readonly #parts = new Map<number, Part>();
  readonly #complaints = new Pace(COMPLAINT_PAUSES_MS);
  #nextId = 1;
  #isStarted = false;
  /** The registry is about to be closed, or is closed, and its last word stands until the end of the shutdown. */
  #isDetached = false;

  constructor(
    private readonly probes: ProbeRegistry,
    private readonly onStop: () => void,
  ) {
    const data = {
      beat: this.#beat.memory,
      session: this.#session.memory,
      stackProblem: findStackProblem(),
      isSilent: isSilent(probes.logger),
    };
    this.#worker = new RestartingWorker(data, {
      onStart: () => this.#tellAll(),
      onMessage: (message) => this.#onMessage(message),
      onEnd: (reason, backOffMs) => this.#onEnd(reason, backOffMs),
    });
    this.#feed = new ResultFeed(probes, (message) => this.#worker.post(message));
    this.#blocks = new BlockLog(probes);
  }

  /** @throws ConfigurationError if the thread cannot be started. */
  open(does: ThreadPart): OpenPart {
    if (!this.#isStarted) this.#start();
    const part = new Part(this.#nextId, does, () => this.#worker.hold());
    this.#nextId += 1;
    this.#parts.set(part.id, part);
    this.#worker.post(part.order);
    return { opened: part.opened, close: () => this.#close(part) };
  }

  /** The main loop turns. Who reads the beat is to know it now, and not after its next question. */
  turn(): void {
    this.#beat.note();
  }

  /** The probes of a kind have been run for a request of the thread. */
  refresh(kind: ProbeKind): void {
    if (!this.#isDetached) this.#feed.refresh(kind);
  }

  #start(): void {
    this.#worker.start();
    this.#isStarted = true;
    this.#feed.start();
    this.probes.on('shutdown', this.#onShutdown);
    this.probes.on('close', this.#onClose);
    process.on('exit', this.#onExit);
  }

  #stop(): void {
    this.#isStarted = false;
    this.#feed.stop();
    this.#blocks.stop();
    this.probes.off('shutdown', this.#onShutdown);
    this.probes.off('close', this.#onClose);
    process.off('exit', this.#onExit);
    this.onStop();
    void this.#worker.stop();
  }

  /** What a thread has to know that has just been started. */
  #tellAll(): void {
    this.#session.close();
    this.#feed.sendAll();
    for (const part of this.#parts.values()) this.#worker.post(part.order);
    if (this.#isDetached) this.#worker.post({ type: 'detach' });
  }

  #onMessage(message: ToMain): void {
    this.turn();
    if ('id' in message) {
      const part = this.#parts.get(message.id);
      if (part !== undefined) this.#onPartMessage(part, message);
      return;
    }
    switch (message.type) {
      case 'ping':
        return this.#isDetached ? undefined : this.#feed.checkLifecycle();
      case 'block':
        this.#blocks.note(message.block);
        for (const { does } of this.#parts.values()) does.onBlockOver?.();
        return;
      case 'complaint':
        this.probes.logger.error(message.text);
    }
  }

  #onPartMessage(part: Part, message: Extract<ToMain, { id: number }>): void {
    switch (message.type) {
      case 'opened':
        return part.open(message.address);
      case 'refused':
        return this.#onRefused(part, message.message);
      case 'closed':
        return this.#end(part);
      case 'request':
        return this.#answer(part, message.request, message.copy);
      case 'sent':
        part.does.onSent?.(message.sent);
    }
  }

  /** A port that was had once may have been taken while the thread was started again. */
  #onRefused(part: Part, message: string): void {
    if (part.isOpen) return void this.#worker.fail(message);
    part.refuse(new ConfigurationError(message));
    this.#remove(part);
  }

  #answer({ id, does }: Part, request: number, copy: RequestCopy): void {
    void does.onRequest?.(copy).then((answer) => this.#worker.post({ type: 'answer', id, request, answer }));
  }

  #onEnd(reason: string, backOffMs: number): void {
    for (const part of this.#parts.values()) {
      if (part.isClosing) this.#end(part);
      else if (!part.isOpen) this.#onRefused(part, `The thread of the probes ended at its start: ${reason}`);
    }
    if (this.#parts.size === 0 || !this.#complaints.take(performance.now())) return;
    this.probes.logger.error(`the thread that answers the probes ended: ${reason}. It is started again in ${String(backOffMs)} ms`);
  }

  #close(part: Part): Promise<void> {
    const isFirst = !part.isClosing;
    const closed = part.close();
    if (!this.#parts.has(part.id) || !this.#worker.isRunning) this.#end(part);
    else if (isFirst) this.#worker.post({ type: 'close', id: part.id });
    return closed;
  }

  #end(part: Part): void {
    part.end();
    this.#remove(part);
  }

  #remove(part: Part): void {
    if (this.#parts.delete(part.id) && this.#parts.size === 0) this.#stop();
  }

  /** From here on the probes are closed and their connections too, and liveness must not fail for that: its last report stands until the process exits. */
  readonly #onShutdown = ({ phase }: ShutdownProgress): void => {
    if (phase === 'deactivating') {
      this.#isDetached = true;
      this.#feed.stop();
      this.#worker.post({ type: 'detach' });
    } else if (this.probes.isClosed) this.#closeAll();
  };

  readonly #onClose = (): void => {
    if (!this.#isDetached) this.#closeAll();
  };

  #closeAll(): void {
    for (const part of this.#parts.values()) void this.#close(part);
  }

  readonly #onExit = (): void => this.#session.waitUntilClosed(SESSION_ENDS_WITHIN_MS);
}

/** Node aborts the process if a thread asks for a session under the permission model, and a session leads to the main thread alone. */
function findStackProblem(): string | undefined {
  if ((process as { permission?: unknown }).permission !== undefined) return 'the permission model of Node does not allow it';
  return isMainThread ? undefined : 'it can be taken of the main thread alone';
}
