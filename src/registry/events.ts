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

/** The events of a registry. */
export interface ProbeEvents {
  /** A status or a reason has changed. */
  change: [ProbeChange];
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
