import { describeError } from '../errors.js';
import { FileLock } from '../heartbeat/file-lock.js';
import { FILE_NAMES, HeartbeatFile } from '../heartbeat/heartbeat-file.js';
import type { ThreadFilesSettings } from '../heartbeat/probe-heartbeat.js';
import { PROBE_KINDS, type ProbeKind } from '../probe.js';
import type { BlockLimits } from '../thread/messages.js';
import { BlockedProbes } from './blocked-probes.js';
import type { MainSide, WorkerPart } from './worker-part.js';

/** How often a pass is renewed, in milliseconds. Once the main thread writes again it needs its deadline, and both run on a machine that is busy at times. */
const RENEW_EVERY_MS = 1_000;
const MARGIN_MS = 1_000;

/** Keeps the files of a heartbeat while the main thread, which writes them otherwise, is blocked. */
export class FilesPart implements WorkerPart {
  readonly isWaiting = false;
  readonly #probes: BlockedProbes;
  readonly #files: readonly (readonly [ProbeKind, HeartbeatFile])[];
  readonly #failing = new Set<ProbeKind>();
  #renewAt = RENEW_EVERY_MS;
  #isBroken = false;

  constructor(
    private readonly id: number,
    { directory, locks }: ThreadFilesSettings,
    readonly limits: BlockLimits,
    private readonly main: MainSide,
  ) {
    this.#probes = new BlockedProbes(main.last, limits, () => main.readBlockedMs());
    this.#files = PROBE_KINDS.map((kind) => [kind, new HeartbeatFile(directory, FILE_NAMES[kind], new FileLock(locks[kind]))]);
    main.post({ type: 'opened', id, address: undefined });
  }

  onBlocked(blockedMs: number): void {
    const isRenewalDue = blockedMs >= this.#renewAt;
    if (isRenewalDue) this.#renewAt = blockedMs + RENEW_EVERY_MS;
    if (!isRenewalDue && blockedMs < this.limits.notReadyAfterMs) return;
    for (const [kind, file] of this.#files) this.#write(kind, file, isRenewalDue);
  }

  onDetached(): void {}

  onTurning(): void {
    this.#failing.clear();
    this.#renewAt = RENEW_EVERY_MS;
  }

  close(): void {
    this.main.onClosed(this.id);
  }

  /** A failure is written once, as it was then: the kubelet makes a new event of each text. */
  #write(kind: ProbeKind, file: HeartbeatFile, isRenewalDue: boolean): void {
    const report = this.#probes.report(kind);
    const isFailing = report.status === 'fail';
    if (isFailing ? this.#failing.has(kind) : !isRenewalDue) return;
    if (isFailing) this.#failing.add(kind);
    const isStillBlocked = () => this.main.readBlockedMs() > 0;
    try {
      file.writeIf(isStillBlocked, report, RENEW_EVERY_MS + this.main.last.deadlineOf(kind) + MARGIN_MS);
      this.#isBroken = false;
    } catch (error) {
      if (!this.#isBroken) this.main.post({ type: 'complaint', text: `the ${kind} heartbeat cannot be written: ${describeError(error)}` });
      this.#isBroken = true;
    }
  }
}
