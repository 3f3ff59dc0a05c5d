import type { ProbeLogger } from '../logger.js';
import type { Monitor } from '../run/monitor.js';
import type { ProbeResult } from '../report/report.js';

/** One line for each change of a probe's status, and none for its first pass. */
export function logStatus(logger: ProbeLogger, monitor: Monitor, result: ProbeResult, previous: ProbeResult['status'] | undefined): void {
  const subject = describe(monitor);
  if (result.status === 'fail') logger.warn(`${subject} failed: ${result.failure?.detail ?? ''}`);
  else if (result.status === 'warn') logger.warn(`${subject} is degraded: ${result.failure?.detail ?? ''}`);
  else if (previous !== undefined) logger.info(`${subject} passes again`);
}

/** A check is healthy and slow: its timeout makes a failure of it. */
export function logLatePass(logger: ProbeLogger, monitor: Monitor, durationMs: number): void {
  const { timeoutMs } = monitor;
  logger.warn(
    `${describe(monitor)} passed after ${String(Math.round(durationMs))} ms, too late for its \`timeoutMs\`, ${String(timeoutMs)}. Raise \`timeoutMs\`, or make the check faster.`,
  );
}

/** A warning where a liveness probe checks something outside the process, unless that is wanted. */
export function logOutside(logger: ProbeLogger, monitor: Monitor, what: string): void {
  if (!monitor.kinds.includes('liveness') || monitor.options.restartOnOutage) return;
  logger.warn(
    `${describe(monitor)} checks ${what}, outside this process: an outage restarts every pod at once, again and again, and a restart does not help. ` +
      'Make it a readiness probe, or confirm it with `restartOnOutage: true`.',
  );
}

function describe({ kinds, name }: Monitor): string {
  return `${kinds.join(' and ')} probe ${name}`;
}
