import { uptime } from 'node:os';
import { performance } from 'node:perf_hooks';
import { LIFECYCLE } from '../registry/definition.js';
import { ConfigurationError, describeError } from '../errors.js';
import { PROBE_KINDS, type ProbeKind } from '../probe.js';
import type { ProbeChange } from '../registry/events.js';
import { isInspected } from '../registry/inspection.js';
import type { ProbeRegistry } from '../registry/registry.js';
import { BLOCK_OPTION_NAMES, resolveBlockLimits, type BlockOptions } from '../thread/block-options.js';
import type { BlockLimits } from '../thread/messages.js';
import { threadOf } from '../thread/probe-thread.js';
import { checkMilliseconds, rejectUnknownOptions, show } from '../validation.js';
import { FileLock } from './file-lock.js';
import { FILE_NAMES, HeartbeatFile, makeDirectory } from './heartbeat-file.js';

export interface ProbeHeartbeatOptions extends BlockOptions {
  /** Folder of the files `live`, `ready` and `startup`, of this process alone. It is made where it is missing. Best in memory: `emptyDir: { medium: Memory }`. */
  directory: string;
  /**
   * Time in milliseconds between the begins of two runs: 1 to 3,600,000.
   * A file is good until the next run must have ended, and a second longer: a blocked event loop is seen that much later, unless there is a `thread`.
   * @default 5000
   */
  intervalMs?: number | undefined;
}

export interface ProbeHeartbeat {
  /** Removes the files and writes none any more. It may be called twice. */
  stop(): void;
}

const DEFAULT_INTERVAL_MS = 5_000;

/** For the machine that is slow at times, in milliseconds. */
const MARGIN_MS = 1_000;

/** What the thread is told of the files. */
export interface ThreadFilesSettings {
  readonly directory: string;
  readonly locks: Readonly<Record<ProbeKind, SharedArrayBuffer>>;
}

/**
 * Runs the probes of each kind at an interval, and writes after each run until when its pass is good, for exec probes that start nothing of the application.
 * A run that fails ends it at once; a process that is blocked or dead lets it expire. It is removed with the process, the one of readiness when the application drains.
 * It is stopped with the registry, and keeps no process alive.
 *
 * With `thread: true` a worker thread keeps the files while the event loop is blocked, so that a blocked process differs from a dead one:
 * the file of readiness says so after `notReadyAfterMs`, and that of liveness is renewed until `deadAfterMs`.
 *
 * @throws ConfigurationError where the directory cannot be written, or an option is out of its range.
 */
export function probeHeartbeat(probes: ProbeRegistry, options: ProbeHeartbeatOptions): ProbeHeartbeat {
  rejectUnknownOptions('probeHeartbeat()', options, ['directory', 'intervalMs', ...BLOCK_OPTION_NAMES]);
  const { directory, intervalMs = DEFAULT_INTERVAL_MS } = options;
  if (typeof directory !== 'string' || directory === '') {
    throw new ConfigurationError(`Expected \`directory\` of probeHeartbeat() to be a path, got ${show(directory)}.`);
  }
  checkMilliseconds('probeHeartbeat()', 'intervalMs', intervalMs);
  const limits = resolveBlockLimits('probeHeartbeat()', options);
  if (probes.isClosed) {
    throw new ConfigurationError('probeHeartbeat() cannot run the probes of a registry that is closed. Call it before probes.close().');
  }
  const takeNoteBack = probes.servingNotes.noteAnswerer(() => ({ by: 'heartbeat', directory, intervalMs, files: FILE_NAMES }));
  if (isInspected()) return { stop: takeNoteBack };
  prepare(directory);

  const locks = { liveness: new FileLock(), readiness: new FileLock(), startup: new FileLock() };
  const thread =
    limits === undefined ? undefined : openThread(probes, directory, locks, limits, () => beats.forEach((beat) => beat.hurry()));
  const beats = PROBE_KINDS.map((kind) => {
    const file = new HeartbeatFile(directory, FILE_NAMES[kind], locks[kind]);
    return new Beat(probes, kind, file, intervalMs, () => thread?.turn());
  });
  const onChange = ({ name, kinds, previous }: ProbeChange) => {
    // A toggle counts at once, here as in an answer.
    if (name !== LIFECYCLE || previous === undefined) return;
    for (const beat of beats) if (kinds.includes(beat.kind)) beat.hurry();
  };
  const stop = () => {
    takeNoteBack();
    for (const beat of beats) beat.stop();
    thread?.close();
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
    for (const name of Object.values(FILE_NAMES)) new HeartbeatFile(directory, name).test();
  } catch (error) {
    throw new ConfigurationError(
      `probeHeartbeat() cannot write to ${directory}: ${describeError(error)}. Make it writable for the user of the process, or choose another \`directory\`.`,
      { cause: error },
    );
  }
}

/** A thread that keeps the files while the main loop is blocked. */
function openThread(
  probes: ProbeRegistry,
  directory: string,
  locks: Readonly<Record<ProbeKind, FileLock>>,
  limits: BlockLimits,
  onBlockOver: () => void,
): { turn(): void; close(): void } {
  const settings: ThreadFilesSettings = {
    directory,
    locks: { liveness: locks.liveness.memory, readiness: locks.readiness.memory, startup: locks.startup.memory },
  };
  const thread = threadOf(probes);
  const part = thread.open({ name: 'files', limits, settings: () => settings, onBlockOver });
  part.opened.catch((error: unknown) => probes.logger.error(describeError(error)));
  return { turn: () => thread.turn(), close: () => void part.close() };
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
    /** The other thread is to know before a write that the loop turns. */
    private readonly turn: () => void,
  ) {
    void this.#run();
  }

  hurry(): void {
    if (this.#isDrained) this.#attempt(() => this.file.close());
    if (this.#isRunning) this.#isHurried = true;
    else void this.#run();
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#attempt(() => this.file.close());
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
    // Until the next run must have ended.
    const goodForMs = this.intervalMs + this.probes.deadlineOf(this.kind) + MARGIN_MS;
    this.#attempt(() => this.file.write(report, goodForMs, startedAtUptime));
    if (this.#isHurried) return this.#run();
    this.#timer = setTimeout(() => void this.#run(), Math.max(0, startedAt + this.intervalMs - performance.now())).unref();
  }

  /** Traffic is to stop for good; liveness goes on. */
  get #isDrained(): boolean {
    return this.kind === 'readiness' && this.probes.lifecycle.state === 'draining';
  }

  /** A full disk does not fail the application: the file expires. Said once, until it is mended. */
  #attempt(act: () => void): void {
    this.turn();
    try {
      act();
      this.#isBroken = false;
    } catch (error) {
      if (!this.#isBroken) this.probes.logger.error(`the ${this.kind} heartbeat cannot be written: ${describeError(error)}`);
      this.#isBroken = true;
    }
  }
}
