import { LIFECYCLE } from './definition.js';
import type { ShutdownProgress } from '../lifecycle/lifecycle.js';
import type { ProbeKind } from '../probe.js';
import type { ProbeResult } from '../report/report.js';
import { reasonKeyOf } from './reason.js';

/**
 * A probe has its first status, changed its status, or fails for a new reason.
 * Reasons that differ only in numbers, ports and times count as the same reason. Reasons of `lifecycle` are compared word for word.
 */
export interface ProbeChange {
  /** Name of the probe. */
  readonly name: string;
  /** The kinds that the change applies to. `lifecycle` has a separate status for each kind. */
  readonly kinds: readonly ProbeKind[];
  /** The new result. */
  readonly result: ProbeResult;
  /** The previous status. Undefined if this is the first one. */
  readonly previous: ProbeResult['status'] | undefined;
  /** Why the probe did not pass, for the operator. Do not show it to the public. Undefined if it passed. */
  readonly reason: string | undefined;
}

/** The event loop was blocked, and turns again. The thread of `probeServer` or `probeHeartbeat` with `thread: true` has seen it. */
export interface EventLoopBlock {
  /** How long it was blocked, in milliseconds. It is never said to be longer than it was. */
  readonly durationMs: number;
  /** When it began, in milliseconds since 1970 UTC, by the system's clock. */
  readonly startedAt: number;
  /** What blocked it, in one line: `busyLoop (src/report.js:37:65)`. Undefined if that is not known. */
  readonly by: string | undefined;
  /** The frames of the stack, innermost first, with paths relative to the working directory. Empty if it is not known: no more than one is taken a minute. */
  readonly stack: readonly string[];
  /** Whether it was blocked inside a synchronous call, so that the stack is the one of its return. */
  readonly isLate: boolean;
}

/** The events of a registry. */
export interface ProbeEvents {
  /** A status or a reason has changed. */
  change: [ProbeChange];
  /** The event loop was blocked, and turns again. */
  block: [EventLoopBlock];
  /** The registry was closed. */
  close: [];
  /** A graceful shutdown has entered a phase. */
  shutdown: [ShutdownProgress];
}

/** Every reason of the lifecycle was written on purpose, so each different one is new. */
export function isNewReason(result: ProbeResult, previous: ProbeResult): boolean {
  if (result.failure?.detail === previous.failure?.detail) return false;
  return result.name === LIFECYCLE || reasonKeyOf(result) !== reasonKeyOf(previous);
}
