import { uptime } from 'node:os';
import { performance } from 'node:perf_hooks';
import { LIFECYCLE } from '../registry/definition.js';
import { ConfigurationError, describeError } from '../errors.js';
import { PROBE_KINDS, type ProbeKind } from '../probe.js';
import type { ProbeChange } from '../registry/events.js';
import { isInspected } from '../registry/inspection.js';
import type { ProbeRegistry } from '../registry/registry.js';
import type { ProbeReport } from '../report/report.js';
import { checkMilliseconds, rejectUnknownOptions, show } from '../validation.js';
import { HeartbeatFile, makeDirectory } from './heartbeat-file.js';

export interface ProbeHeartbeatOptions {
  /** Folder of the files `live`, `ready` and `startup`, of this process alone. It is made where it is missing. Best in memory: `emptyDir: { medium: Memory }`. */
  directory: string;
  /**
   * Time in milliseconds between the begins of two runs: 1 to 3,600,000.
   * A file is good until the next run must have ended, and a second longer: a blocked event loop is seen that much later.
   * @default 5000
   */
  intervalMs?: number | undefined;
}

export interface ProbeHeartbeat {
  /** Removes the files and writes none any more. It may be called twice. */
  stop(): void;
}

const FILE_NAMES: Readonly<Record<ProbeKind, string>> = { liveness: 'live', readiness: 'ready', startup: 'startup' };

const DEFAULT_INTERVAL_MS = 5_000;

/** For the machine that is slow at times. */
const MARGIN_MS = 1_000;

/**
 * Runs the probes of each kind at an interval, and writes after each run until when its pass is good, for exec probes that start nothing of the application.
 * A run that fails ends it at once; a process that is blocked or dead lets it expire. It is removed with the process, the one of readiness when the application drains.
 * It is stopped with the registry, and keeps no process alive.
 *
 * @throws ConfigurationError where the directory cannot be written, or an option is out of its range.
 */
export function probeHeartbeat(probes: ProbeRegistry, options: ProbeHeartbeatOptions): ProbeHeartbeat {
  rejectUnknownOptions('probeHeartbeat()', options, ['directory', 'intervalMs']);
  const { directory, intervalMs = DEFAULT_INTERVAL_MS } = options;
  if (typeof directory !== 'string' || directory === '') {
    throw new ConfigurationError(`Expected \`directory\` of probeHeartbeat() to be a path, got ${show(directory)}.`);
  }
  checkMilliseconds('probeHeartbeat()', 'intervalMs', intervalMs);
  if (probes.isClosed) {
    throw new ConfigurationError('probeHeartbeat() cannot run the probes of a registry that is closed. Call it before probes.close().');
  }
  const takeNoteBack = probes.servingNotes.noteAnswerer(() => ({ by: 'heartbeat', directory, intervalMs, files: FILE_NAMES }));
  if (isInspected()) return { stop: takeNoteBack };
  prepare(directory);

  const beats = PROBE_KINDS.map((kind) => new Beat(probes, kind, new HeartbeatFile(directory, FILE_NAMES[kind]), intervalMs));
  const onChange = ({ name, kinds, previous }: ProbeChange) => {
    // A toggle counts at once, here as in an answer.
    if (name !== LIFECYCLE || previous === undefined) return;
    for (const beat of beats) if (kinds.includes(beat.kind)) beat.hurry();
  };
  const stop = () => {
    takeNoteBack();
    for (const beat of beats) beat.stop();
    probes.off('change', onChange);
    probes.lifecycle.lastingAnswerers.delete(stop);
    probes.off('close', stop);
    process.off('exit', stop);
  };
  probes.on('change', onChange);
  probes.lifecycle.lastingAnswerers.add(stop);
  probes.once('close', stop);
  process.once('exit', stop);
  return { stop };
}

/** What a process before this one has left is of no good, and a directory that cannot be written must not be found out by a restart of the pod. */
function prepare(directory: string): void {
  try {
    makeDirectory(directory);
    for (const name of Object.values(FILE_NAMES)) {
      const file = new HeartbeatFile(directory, name);
      file.write(0);
      file.remove();
    }
  } catch (error) {
    throw new ConfigurationError(
      `probeHeartbeat() cannot write to ${directory}: ${describeError(error)}. Make it writable for the user of the process, or choose another \`directory\`.`,
      { cause: error },
    );
  }
}

/** The runs of one kind, one at a time, and their file. */
class Beat {
  #timer: NodeJS.Timeout | undefined;
  #isRunning = false;
  /** Whether another run begins as soon as that in flight is over. */
  #isHurried = false;
  #isStopped = false;
  #isBroken = false;

  constructor(
    private readonly probes: ProbeRegistry,
    readonly kind: ProbeKind,
    private readonly file: HeartbeatFile,
    private readonly intervalMs: number,
  ) {
    void this.#run();
  }

  hurry(): void {
    if (this.#isDrained) this.#attempt(() => this.file.remove());
    if (this.#isRunning) this.#isHurried = true;
    else void this.#run();
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#attempt(() => this.file.remove());
  }

  async #run(): Promise<void> {
    clearTimeout(this.#timer);
    if (this.#isStopped || this.#isDrained) return;
    const startedAt = performance.now();
    const startedAtUptime = uptime();
    this.#isRunning = true;
    this.#isHurried = false;
    const report = await this.probes.run(this.kind);
    this.#isRunning = false;
    if (this.#isStopped || this.#isDrained) return;
    this.#attempt(() => this.#write(report, startedAtUptime));
    if (this.#isHurried) return this.#run();
    this.#timer = setTimeout(() => void this.#run(), Math.max(0, startedAt + this.intervalMs - performance.now())).unref();
  }

  /** Until the next run must have ended. A reader counts whole seconds, and takes the last one as whole. */
  #write({ status, results }: ProbeReport, startedAtUptime: number): void {
    if (status === 'fail') {
      const failed = results.filter((result) => result.status === 'fail');
      return this.#writeFailure(failed.map(({ name, failure }) => `[-]${name} failed: ${failure?.reason ?? ''}`));
    }
    const goodForMs = this.intervalMs + this.probes.deadlineOf(this.kind) + MARGIN_MS;
    this.file.write(Math.ceil(startedAtUptime + goodForMs / 1_000) - 1);
  }

  /** On a full disk the pass before would stay good: no file is a failure too. */
  #writeFailure(lines: readonly string[]): void {
    try {
      this.file.write(0, lines);
    } catch (error) {
      this.file.remove();
      throw error;
    }
  }

  /** Traffic is to stop for good; liveness goes on. */
  get #isDrained(): boolean {
    return this.kind === 'readiness' && this.probes.lifecycle.state === 'draining';
  }

  /** A full disk does not fail the application: the file expires. Said once, until it is mended. */
  #attempt(act: () => void): void {
    try {
      act();
      this.#isBroken = false;
    } catch (error) {
      if (!this.#isBroken) this.probes.logger.error(`the ${this.kind} heartbeat cannot be written: ${describeError(error)}`);
      this.#isBroken = true;
    }
  }
}
