import type { ClusterSettings } from 'node:cluster';
import { performance } from 'node:perf_hooks';
import { describeError } from '../errors.js';
import type { FieldLogger } from '../logger.js';
import { showDuration } from '../registry/duration.js';
import type { ResolvedClusterOptions } from './options.js';
import { Restarts } from './restarts.js';
import { Watchdog } from './watchdog.js';
import { WorkerProcess, type ProcessEnd } from './worker-process.js';
import { absent, stateOf, type WorkerState } from './worker-state.js';

export interface SlotHost {
  readonly options: ResolvedClusterOptions;
  readonly logger: FieldLogger;
  /** As the ages of reports are reckoned. */
  readonly now: () => number;
  readonly settings: ClusterSettings;
  /** What a new process gets in its environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** Whether another worker could take a connection. */
  readonly hasOthers: (slot: WorkerSlot) => boolean;
  /** Whether a worker that has ended is not to be replaced. */
  readonly isDraining: () => boolean;
  /** Something was reported, or a process has begun or ended. */
  readonly onNews: (slot: WorkerSlot) => void;
}

/** The place of one worker: its process, and the next one when that has ended. */
export class WorkerSlot {
  process: WorkerProcess | undefined;
  #watchdog: Watchdog | undefined;
  #restart: NodeJS.Timeout | undefined;
  readonly #restarts = new Restarts();
  #lastEnd: ProcessEnd | undefined;
  #lastNews = '';
  #onGone: ((isClean: boolean) => void) | undefined;

  constructor(
    readonly number: number,
    private readonly host: SlotHost,
  ) {}

  get state(): WorkerState {
    const { process } = this;
    if (process === undefined || (process.report === undefined && this.#restarts.isLoop)) return absent(this.#describeAbsence());
    return stateOf(process, {
      now: this.host.now(),
      notReadyAfterMs: this.host.options.notReadyAfterMs,
      deathCause: this.#watchdog?.problem,
      isLeaving: this.#watchdog?.isLeaving ?? false,
    });
  }

  /** Whether its state is another one than at the last call. Reasons and times are not looked at. */
  takeNews(): boolean {
    const { hasStarted, isWilling, isReady, life } = this.state;
    const news = [this.process?.pid, this.process?.report === undefined, hasStarted, isWilling, isReady, life].join(' ');
    const isNew = news !== this.#lastNews;
    this.#lastNews = news;
    return isNew;
  }

  start(): void {
    const { host } = this;
    try {
      this.process = new WorkerProcess(host.environment, {
        settings: host.settings,
        now: host.now,
        hasOthers: () => host.hasOthers(this),
        onReport: () => host.onNews(this),
        onEnd: (end) => this.#onEnd(end),
      });
    } catch (error) {
      return this.#onEnd({ how: 'could not be started', error, isClean: false });
    }
    this.#watchdog = new Watchdog(this.process, { ...host, subject: this.#subject });
    host.onNews(this);
  }

  /** Looks after its process, at an interval. */
  look(): void {
    this.#watchdog?.look();
    if (this.process !== undefined && this.#restarts.noteLife(this.process.lifetimeMs)) {
      this.host.logger.info(`worker ${String(this.number)} has run steadily since its crash loop`);
    }
  }

  /** Its process is told to shut down, and no other is started. `onGone` is called when there is none. */
  leave(onGone: (isClean: boolean) => void): void {
    clearTimeout(this.#restart);
    if (this.process === undefined) return onGone(true);
    this.#onGone = onGone;
    this.#watchdog?.terminate();
  }

  get #subject(): string {
    const pid = this.process?.pid;
    return `worker ${String(this.number)}${pid === undefined ? '' : ` (pid ${String(pid)})`}`;
  }

  #onEnd(end: ProcessEnd): void {
    const subject = this.#subject;
    const { process } = this;
    this.process = undefined;
    this.#watchdog = undefined;
    this.#lastEnd = end;
    if (this.#onGone !== undefined || this.host.isDraining()) this.#tellEnd(subject, end);
    else this.#replace(subject, end, process);
    this.#onGone?.(end.isClean);
    this.host.onNews(this);
  }

  #tellEnd(subject: string, { how, isClean }: ProcessEnd): void {
    this.host.logger[isClean ? 'info' : 'error'](`${subject} ${how}, and is not replaced: the application is draining`);
  }

  #replace(subject: string, end: ProcessEnd, process: WorkerProcess | undefined): void {
    const { logger } = this.host;
    const lifetimeMs = process?.lifetimeMs ?? 0;
    const hasShutDown = end.isClean && process?.report?.isDraining === true;
    const { pauseMs, isLoop, isTold } = this.#restarts.noteEnd({ lifetimeMs, hasShutDown, now: performance.now() });
    this.#restart = setTimeout(() => this.start(), pauseMs);
    if (!isTold) return;
    const circumstances = end.error === undefined ? ` after ${showDuration(lifetimeMs)}` : `: ${describeError(end.error)}`;
    const what = `${subject} ${end.how}${circumstances}`;
    const next = `it is started again in ${showDuration(pauseMs)}`;
    if (isLoop) logger.error(`${what}, ${String(this.#restarts.endsInARow)} times in a row: ${next}, and ever more rarely`);
    else logger[hasShutDown ? 'info' : 'warn'](`${what}, ${next}`);
  }

  #describeAbsence(): string {
    const how = this.#lastEnd?.how ?? 'is starting';
    return this.#restarts.isLoop ? `is in a crash loop, and ${how}` : how;
  }
}
