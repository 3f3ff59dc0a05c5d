import { performance } from 'node:perf_hooks';
import { LIFECYCLE } from './definition.js';
import type { Lifecycle } from '../lifecycle/lifecycle.js';
import type { FieldLogger } from '../logger.js';
import { COMPLAINT_PAUSES_MS, Pace } from './pace.js';
import { ProbeLog, subjectOf, type Excuse } from './probe-log.js';
import type { ProbeResult } from '../report/report.js';
import type { Monitor } from '../run/monitor.js';

/** The log of a registry about its probes. */
export class OperatorLog {
  readonly #probes = new Map<Monitor, ProbeLog>();
  readonly #latePasses = new WeakMap<Monitor, Pace>();
  #isClosed = false;

  constructor(
    private readonly logger: FieldLogger,
    private readonly lifecycle: Lifecycle,
  ) {}

  /** Called when a run has ended, except for a pass after a pass. */
  noteResult(monitor: Monitor, result: ProbeResult, previous: ProbeResult | undefined, outcome: ProbeResult): void {
    if (this.#isClosed) return;
    let log = this.#probes.get(monitor);
    if (log === undefined) {
      const excuse = (hasPassed: boolean) => this.#excuse(monitor, hasPassed);
      log = new ProbeLog(monitor, { logger: this.logger, isDeliberate: monitor.name === LIFECYCLE, excuse });
      this.#probes.set(monitor, log);
    }
    log.note(result, previous, outcome);
  }

  /** Warns about a check that works but is too slow, so that its timeout turns it into a failure. */
  tellLatePass(monitor: Monitor, durationMs: number): void {
    let pace = this.#latePasses.get(monitor);
    if (pace === undefined) this.#latePasses.set(monitor, (pace = new Pace(COMPLAINT_PAUSES_MS)));
    if (!pace.take(performance.now())) return;
    const { name, kinds, timeoutMs } = monitor;
    this.logger.warn(
      `${subjectOf(monitor)} passed after ${String(Math.round(durationMs))} ms, later than its \`timeoutMs\` (${String(timeoutMs)} ms). Raise \`timeoutMs\`, or make the check faster.`,
      { probe: name, kinds, durationMs: Math.round(durationMs) },
    );
  }

  /** Warns if a liveness probe checks something outside the process, unless `restartOnOutage` is set. */
  tellOutside(monitor: Monitor, what: string): void {
    const { name, kinds, options } = monitor;
    if (!kinds.includes('liveness') || options.restartOnOutage) return;
    this.logger.warn(
      `${subjectOf(monitor)} checks ${what}, which is outside this process: an outage would restart every pod at once, again and again, and a restart does not help. ` +
        'Make it a readiness probe, or set `restartOnOutage: true` to confirm that you want this.',
      { probe: name, kinds },
    );
  }

  /** Called when a probe is removed. */
  forget(monitor: Monitor): void {
    this.#probes.get(monitor)?.stop();
    this.#probes.delete(monitor);
  }

  /** Stops the log. Nothing is logged about any probe from now on. */
  close(): void {
    this.#isClosed = true;
    for (const log of this.#probes.values()) log.stop();
    this.#probes.clear();
  }

  #excuse({ name, kinds }: Monitor, hasPassed: boolean): Excuse | undefined {
    if (name !== LIFECYCLE) return !hasPassed && kinds.every((kind) => kind === 'startup') ? 'starting' : undefined;
    if (!kinds.includes('readiness')) return undefined;
    if (this.lifecycle.state === 'draining') return 'draining';
    return hasPassed || this.lifecycle.isSwitchedOff ? undefined : 'starting';
  }
}
