import { performance } from 'node:perf_hooks';
import { NotReady } from '../errors.js';
import { PROBE_KINDS, type ProbeKind } from '../probe.js';
import { LIFECYCLE } from '../registry/definition.js';
import type { ProbeChange } from '../registry/events.js';
import type { ProbeRegistry } from '../registry/registry.js';
import { failed, passed, type ProbeResult } from '../report/report.js';
import type { Monitor } from '../run/monitor.js';
import type { ToWorker } from './messages.js';

/** A pass after a pass changes its times alone. Those that the thread knows are no more than this older. */
const REFRESH_EVERY_MS = 1_000;

/**
 * Tells the thread each result as soon as it is known: once the main loop is blocked, nothing can be asked.
 * The message leaves in the call that posts it, so that a loop which blocks right after a change is still seen as it is.
 */
export class ResultFeed {
  /** What was told of the lifecycle, by kind. */
  readonly #lifecycle: Partial<Record<ProbeKind, string>> = {};
  readonly #sentAt: Partial<Record<ProbeKind, number>> = {};

  constructor(
    private readonly probes: ProbeRegistry,
    private readonly post: (message: ToWorker) => void,
  ) {}

  start(): void {
    this.probes.on('change', this.#onChange);
    this.probes.monitorListeners.add(this.#onMonitor);
  }

  stop(): void {
    this.probes.off('change', this.#onChange);
    this.probes.monitorListeners.delete(this.#onMonitor);
  }

  sendAll(): void {
    for (const kind of PROBE_KINDS) this.#send(kind);
  }

  /** A whole kind has been run. */
  refresh(kind: ProbeKind): void {
    if (performance.now() - (this.#sentAt[kind] ?? -Infinity) >= REFRESH_EVERY_MS) this.#send(kind);
  }

  /** Not every change of the lifecycle is an event: the end of a start is none. */
  checkLifecycle(): void {
    for (const kind of PROBE_KINDS) if (describeLifecycle(this.probes, kind) !== this.#lifecycle[kind]) this.#send(kind);
  }

  #send(kind: ProbeKind): void {
    this.#lifecycle[kind] = describeLifecycle(this.probes, kind);
    this.#sentAt[kind] = performance.now();
    const results = this.probes.lastResults(kind).map(([monitor, result]) => {
      return monitor.name === LIFECYCLE ? judgeLifecycle(this.probes, kind) : copyOf(result ?? pending(monitor, kind));
    });
    if (kind === 'startup' && this.probes.lifecycle.isBeingStarted) results.unshift(judgeLifecycle(this.probes, kind));
    this.post({ type: 'results', kind, results, deadlineMs: this.probes.deadlineOf(kind) });
  }

  readonly #onChange = ({ name, kinds, result }: ProbeChange): void => {
    if (name !== LIFECYCLE) this.post({ type: 'result', kinds, result: copyOf(result) });
    this.checkLifecycle();
  };

  /** One at a time: a start registers hundreds, and each is one more that has not passed. */
  readonly #onMonitor = (monitor: Monitor, isAdded: boolean): void => {
    for (const kind of monitor.kinds) {
      if (isAdded) this.post({ type: 'result', kinds: [kind], result: pending(monitor, kind) });
      else this.#send(kind);
    }
    this.checkLifecycle();
  };
}

/** Now, and not as it was when somebody asked last: it costs nothing. */
function judgeLifecycle({ lifecycle }: ProbeRegistry, kind: ProbeKind): ProbeResult {
  try {
    lifecycle.check({ kind });
    return passed(LIFECYCLE, 0, Date.now(), undefined);
  } catch (error) {
    return copyOf(failed(LIFECYCLE, 0, error));
  }
}

function describeLifecycle(probes: ProbeRegistry, kind: ProbeKind): string {
  return judgeLifecycle(probes, kind).failure?.detail ?? '';
}

/** What nobody has asked for is no reason to restart, and none to send requests. */
function pending({ name, options }: Monitor, kind: ProbeKind): ProbeResult {
  const result = copyOf(failed(name, 0, new NotReady('has not been run yet')));
  return kind === 'liveness' || !options.critical ? { ...result, status: 'warn' } : result;
}

/** What was thrown stays here: it may be anything, and not all can be copied. */
function copyOf(result: ProbeResult): ProbeResult {
  return { ...result, error: undefined };
}
