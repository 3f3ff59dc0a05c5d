import { showDuration } from '../registry/duration.js';
import type { WorkerProcess } from './worker-process.js';

/** What is known of one worker. */
export interface WorkerState {
  readonly hasStarted: boolean;
  /** Its readiness passes, so that it may listen. */
  readonly isWilling: boolean;
  /** It is willing, and listens. */
  readonly isReady: boolean;
  /** `late`: it does not report, or its liveness fails, and it still has time; `dead`: its time is over, and it is being replaced. */
  readonly life: 'live' | 'late' | 'dead';
  /** Why it is not ready or not live; for the public. */
  readonly problem: string;
}

interface Circumstances {
  readonly now: number;
  readonly notReadyAfterMs: number;
  /** Why it is being replaced. */
  readonly deathCause: string | undefined;
  readonly isLeaving: boolean;
}

/** A worker that has no process at the moment, or one that has not reported. */
export function absent(problem: string): WorkerState {
  return { hasStarted: false, isWilling: false, isReady: false, life: 'live', problem };
}

export function stateOf(
  { report, reportedAt }: WorkerProcess,
  { now, notReadyAfterMs, deathCause, isLeaving }: Circumstances,
): WorkerState {
  const unready = { ...absent(''), hasStarted: report?.hasStarted ?? false };
  const late = { ...unready, life: isLeaving ? ('live' as const) : ('late' as const) };
  if (deathCause !== undefined) return { ...unready, life: 'dead', problem: `${deathCause} and is replaced` };
  if (report?.notReady === undefined) return absent('is starting');
  const { hasStarted, isListening, notLive, notReady } = report;
  const silentMs = now - reportedAt;
  if (silentMs > notReadyAfterMs) return { ...late, problem: `has not reported for ${showDuration(silentMs)}` };
  if (notLive.length > 0) return { ...late, problem: `is not live (${notLive.join('; ')})` };
  if (notReady.length > 0) return { ...unready, problem: `is not ready (${notReady.join('; ')})` };
  return { hasStarted, isWilling: true, isReady: isListening, life: 'live', problem: isListening ? '' : 'does not listen' };
}
