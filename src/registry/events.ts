import { LIFECYCLE } from './definition.js';
import type { ShutdownProgress } from '../lifecycle/lifecycle.js';
import type { ProbeKind } from '../probe.js';
import type { ProbeResult } from '../report/report.js';
import { reasonKeyOf } from './reason.js';

/** A probe went over from one status to another, has its first, or fails for a new reason. Reasons that differ in numbers, ports and times alone are one; those of `lifecycle` are compared word for word. */
export interface ProbeChange {
  readonly name: string;
  /** The kinds that it counts for. `lifecycle` has a status a kind. */
  readonly kinds: readonly ProbeKind[];
  readonly result: ProbeResult;
  /** The status before; undefined if this is the first. */
  readonly previous: ProbeResult['status'] | undefined;
  /** If it did not pass: why, for the operator. The public must not read it. */
  readonly reason: string | undefined;
}

export interface ProbeEvents {
  change: [ProbeChange];
  close: [];
  shutdown: [ShutdownProgress];
}

/** Each reason of the lifecycle was chosen: draining says more than maintenance. */
export function isNewReason(result: ProbeResult, previous: ProbeResult): boolean {
  if (result.failure?.detail === previous.failure?.detail) return false;
  return result.name === LIFECYCLE || reasonKeyOf(result) !== reasonKeyOf(previous);
}
