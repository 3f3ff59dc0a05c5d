import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { uptime } from 'node:os';
import { join } from 'node:path';
import type { ProbeKind } from '../probe.js';
import type { ProbeReport } from '../report/report.js';
import { FileLock } from './file-lock.js';

/** The files by kind. */
export const FILE_NAMES: Readonly<Record<ProbeKind, string>> = { liveness: 'live', readiness: 'ready', startup: 'startup' };

/** The command reads 64 KiB at most, and shows 200 characters of a line. */
const MOST_BYTES = 60_000;
const LONGEST_LINE = 200;

/** A file that is whole whenever it is read. It is written synchronously: nothing can bring back what was removed meanwhile. */
export class HeartbeatFile {
  readonly #path: string;
  readonly #temporary: string;

  constructor(
    directory: string,
    name: string,
    /** Another thread may write it too. */
    private readonly lock = new FileLock(),
  ) {
    this.#path = join(directory, name);
    this.#temporary = join(directory, `.${name}.tmp`);
  }

  /** `since` is the uptime at which the run has begun, from which the pass is good for so long. */
  write(report: ProbeReport, goodForMs: number, since: number): void {
    this.lock.run(() => this.#writeReport(report, goodForMs, since));
  }

  /** The same, unless the other thread is writing or `isDue` says no. */
  writeIf(isDue: () => boolean, report: ProbeReport, goodForMs: number): void {
    this.lock.tryToRun(() => {
      if (isDue()) this.#writeReport(report, goodForMs, uptime());
    });
  }

  /** Of no good, to begin with. */
  test(): void {
    this.#writeLines(0);
    this.#remove();
  }

  /** Removes it, and writes none any more. */
  close(): void {
    this.lock.close(() => this.#remove());
  }

  /** A reader counts whole seconds, and takes the last one as whole. */
  #writeReport({ status, results }: ProbeReport, goodForMs: number, since: number): void {
    if (status !== 'fail') return this.#writeLines(Math.ceil(since + goodForMs / 1_000) - 1);
    const failed = results.filter((result) => result.status === 'fail');
    try {
      this.#writeLines(
        0,
        failed.map(({ name, failure }) => `[-]${name} failed: ${failure?.reason ?? ''}`),
      );
    } catch (error) {
      // On a full disk the pass before would stay good: no file is a failure too.
      this.#remove();
      throw error;
    }
  }

  /** Good until so many whole seconds of the uptime, on this boot of the machine; or of no good, with the lines of what has failed. */
  #writeLines(until: number, failures: readonly string[] = []): void {
    // Its own file, whoever has put one there before.
    rmSync(this.#temporary, { force: true });
    writeFileSync(this.#temporary, [until, readBootId(), ...shorten(failures), ''].join('\n'), { flag: 'wx', mode: 0o600 });
    renameSync(this.#temporary, this.#path);
  }

  #remove(): void {
    for (const path of [this.#path, this.#temporary]) rmSync(path, { force: true });
  }
}

/** For its owner alone, where it is not there yet. */
export function makeDirectory(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
}

/** Lines that the command can read, and a last one for those that are left out. */
function shorten(failures: readonly string[]): string[] {
  const lines: string[] = [];
  let bytes = 0;
  for (const failure of failures) {
    const line = failure.length > LONGEST_LINE ? `${failure.slice(0, LONGEST_LINE)}...` : failure;
    bytes += Buffer.byteLength(line) + 1;
    if (bytes > MOST_BYTES) return [...lines, `[-]${String(failures.length - lines.length)} more failed`];
    lines.push(line);
  }
  return lines;
}

/** Uptimes of another boot mean nothing. Empty where the system has no such file. */
function readBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}
