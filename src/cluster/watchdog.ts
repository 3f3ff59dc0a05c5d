import type { FieldLogger } from '../logger.js';
import { showDuration } from '../registry/duration.js';
import type { ResolvedClusterOptions } from './options.js';
import type { WorkerProcess } from './worker-process.js';

/** How much longer than its own shutdown a worker may take to end. */
const SHUTDOWN_MARGIN_MS = 1_000;

/** For a worker that has not said how long its shutdown takes. */
const USUAL_SHUTDOWN_MS = 25_000;

/** Ends a process that does not say in time that it is live: SIGTERM, which one that is blocked does not hear, then SIGKILL. */
export class Watchdog {
  #leavesSince: number | undefined;
  #isKilled = false;
  /** Why the process is being replaced. */
  #problem: string | undefined;

  constructor(
    private readonly process: WorkerProcess,
    private readonly settings: {
      /** What messages call the process. */
      readonly subject: string;
      readonly options: ResolvedClusterOptions;
      readonly logger: FieldLogger;
      readonly now: () => number;
    },
  ) {}

  /** Why the process is being replaced; undefined: it is not. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** The process shuts down, by itself or because it is told to. */
  get isLeaving(): boolean {
    return this.#leavesSince !== undefined;
  }

  look(): void {
    if (this.process.report?.isDraining === true) this.#leavesSince ??= this.settings.now();
    if (this.#leavesSince !== undefined) return this.#watchEnd(this.#leavesSince);
    const problem = this.#findProblem();
    if (problem !== undefined) this.#replace(problem);
  }

  /** The process is told to shut down. */
  terminate(): void {
    this.#leavesSince ??= this.settings.now();
    this.process.kill('SIGTERM');
  }

  #findProblem(): string | undefined {
    const { report, startedAt, reportedAt, liveAt } = this.process;
    const { deadAfterMs, startTimeoutMs } = this.settings.options;
    const now = this.settings.now();
    if (report === undefined) {
      return now - startedAt > startTimeoutMs ? `has not reported within ${showDuration(startTimeoutMs)} of its start` : undefined;
    }
    if (now - reportedAt > deadAfterMs) return `has not reported for ${showDuration(deadAfterMs)}`;
    return now - liveAt > deadAfterMs ? `has not been live for ${showDuration(deadAfterMs)}` : undefined;
  }

  #replace(problem: string): void {
    const { subject, logger } = this.settings;
    this.#problem = problem;
    logger.error(`${subject} ${problem} and is replaced, sending SIGTERM. ${describeLastReport(this.process)}`);
    this.terminate();
  }

  /** One that reports has the time of its own shutdown. */
  #watchEnd(leavesSince: number): void {
    if (this.#isKilled) return;
    const { report, reportedAt } = this.process;
    const { killAfterMs } = this.settings.options;
    const now = this.settings.now();
    const shutdownMs = (report?.shutdownMs ?? USUAL_SHUTDOWN_MS) + SHUTDOWN_MARGIN_MS;
    if (this.#problem !== undefined && now - Math.max(leavesSince, reportedAt) > killAfterMs) {
      this.#kill(`has not reported for ${showDuration(killAfterMs)} after SIGTERM`);
    } else if (now - leavesSince > shutdownMs) this.#kill(`has not ended within ${showDuration(shutdownMs)} of its shutdown`);
  }

  #kill(problem: string): void {
    const { subject, logger } = this.settings;
    this.#isKilled = true;
    logger.error(`${subject} ${problem}, sending SIGKILL`);
    this.process.kill('SIGKILL');
  }
}

const BYTES_PER_MB = 1_000_000;

/** For the operator, who can look into the log of the worker for more. */
function describeLastReport({ report, lifetimeMs }: WorkerProcess): string {
  const age = `running for ${showDuration(lifetimeMs)}`;
  if (report === undefined)
    return `No report, ${age}: call reportToPrimary(server, probes) early in the worker, or raise \`startTimeoutMs\``;
  const { notLive, notReady = ['starting'], rss } = report;
  const live = describeKind('live', notLive);
  const ready = describeKind('ready', notReady);
  return `Last report: ${live}, ${ready}, ${String(Math.round(rss / BYTES_PER_MB))} MB of memory, ${age}`;
}

function describeKind(adjective: string, failures: readonly string[]): string {
  return failures.length === 0 ? adjective : `not ${adjective} (${failures.join('; ')})`;
}
