// The program of the worker thread. The build makes one text of it, with all that it imports: see `src/thread/program.ts`.
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import type { ThreadFilesSettings } from '../heartbeat/probe-heartbeat.js';
import type { ThreadServerSettings } from '../http/threaded-server.js';
import { LoopBeat } from '../thread/loop-beat.js';
import type { ThreadData, ToMain, ToWorker } from '../thread/messages.js';
import { BlockTeller } from './block-teller.js';
import { FilesPart } from './files-part.js';
import { LastResults } from './last-results.js';
import { LoopWatch } from './loop-watch.js';
import { ServerPart } from './server-part.js';
import type { MainSide, WorkerPart } from './worker-part.js';

/** A loop that owes an answer for so long, in milliseconds, is blocked: whoever asks in the meantime gets the last report. */
const BLOCKED_AFTER_MS = 25;

/** How often the main loop is looked at, in milliseconds. Looking wakes the main thread, but for a blocked one. */
const LOOK_EVERY_MS = { idle: 200, blocked: 50, waiting: 5 };

class Program implements MainSide {
  readonly last = new LastResults();
  isDetached = false;
  readonly #watch: LoopWatch;
  readonly #teller: BlockTeller;
  readonly #parts = new Map<number, WorkerPart>();
  #timer: NodeJS.Timeout | undefined;
  #isHurried = false;
  #isBlocked = false;

  constructor(
    private readonly port: MessagePort,
    data: ThreadData,
  ) {
    this.#watch = new LoopWatch(new LoopBeat(data.beat), () => this.post({ type: 'ping' }));
    this.#teller = new BlockTeller(data, (block) => this.post({ type: 'block', block }));
  }

  start(): void {
    this.port.on('message', (message: ToWorker) => this.#onMessage(message));
    this.#tick();
  }

  readBlockedMs(): number {
    const silentMs = this.#watch.look();
    if (silentMs >= BLOCKED_AFTER_MS) {
      this.#isBlocked = true;
      return silentMs;
    }
    if (silentMs === 0 && this.#isBlocked) this.#endBlock();
    return 0;
  }

  post(message: ToMain): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a port has none
    this.port.postMessage(message);
  }

  ask(message: ToMain): void {
    this.#watch.noteQuestion();
    this.post(message);
    if (!this.#isHurried) this.#schedule();
  }

  onClosed(id: number): void {
    this.#parts.delete(id);
    this.post({ type: 'closed', id });
  }

  #tick(): void {
    const blockedMs = this.readBlockedMs();
    if (blockedMs === 0) this.#watch.ask();
    else this.#tellOfBlock(blockedMs);
    this.#schedule();
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    this.#isHurried = [...this.#parts.values()].some(({ isWaiting }) => isWaiting);
    const pace = this.#isHurried ? 'waiting' : this.#isBlocked ? 'blocked' : 'idle';
    this.#timer = setTimeout(() => this.#tick(), LOOK_EVERY_MS[pace]);
  }

  #tellOfBlock(blockedMs: number): void {
    for (const part of this.#parts.values()) part.onBlocked(blockedMs);
    const limits = Array.from(this.#parts.values(), (part) => part.limits);
    this.#teller.look(blockedMs, {
      notReadyAfterMs: Math.min(...limits.map(({ notReadyAfterMs }) => notReadyAfterMs)),
      deadAfterMs: Math.min(...limits.map(({ deadAfterMs }) => deadAfterMs)),
    });
  }

  #endBlock(): void {
    this.#isBlocked = false;
    this.#teller.end(this.#watch.answeredAfterMs);
    for (const part of this.#parts.values()) part.onTurning();
  }

  #onMessage(message: ToWorker): void {
    switch (message.type) {
      case 'results':
        return this.last.replace(message.kind, message.results, message.deadlineMs);
      case 'result':
        return this.last.put(message.kinds, message.result);
      case 'open':
        this.#parts.set(message.id, this.#open(message));
        return;
      case 'close':
        void this.#parts.get(message.id)?.close();
        return;
      case 'answer':
        (this.#parts.get(message.id) as ServerPart | undefined)?.onAnswer(message.request, message.answer);
        return;
      case 'detach':
        this.isDetached = true;
        for (const part of this.#parts.values()) part.onDetached();
    }
  }

  #open({ id, part, limits, settings }: Extract<ToWorker, { type: 'open' }>): WorkerPart {
    return part === 'server'
      ? new ServerPart(id, settings as ThreadServerSettings, limits, this)
      : new FilesPart(id, settings as ThreadFilesSettings, limits, this);
  }
}

if (parentPort === null) throw new Error('The program of the probes runs in a worker thread alone.');
const program = new Program(parentPort, workerData as ThreadData);
program.start();
