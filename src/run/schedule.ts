import { performance } from 'node:perf_hooks';
import type { Monitor } from './monitor.js';
import type { RunObservers } from './observers.js';
import { RunPlan, runTogether } from './run.js';

/** The runs of one probe in the background. */
export interface Schedule {
  /** Stops the schedule. No further run begins. */
  stop(): void;
}

/** Starts a run now and then every `intervalMs`, measured from start to start. A startup probe runs until it has passed. The schedule does not keep the process alive between two runs. */
export function startSchedule(monitor: Monitor, observers: RunObservers): Schedule {
  const { intervalMs, timeoutMs } = monitor.options;
  const [kind = 'readiness'] = monitor.kinds;
  const plan = new RunPlan({ kind, monitors: [monitor], deadlineMs: 2 * timeoutMs, acceptsLatest: false, observers });
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;

  const run = async (): Promise<void> => {
    if (isDone(monitor)) return;
    const startedAt = performance.now();
    await runTogether(plan, () => {});
    if (isStopped) return;
    timer = setTimeout(() => void run(), Math.max(0, startedAt + intervalMs - performance.now())).unref();
  };
  void run();

  return {
    stop() {
      isStopped = true;
      clearTimeout(timer);
    },
  };
}

/** A startup probe that has passed, in a scheduled run or in one for a request, does not run again. */
function isDone({ kinds, firstPass }: Monitor): boolean {
  return firstPass !== undefined && kinds.every((kind) => kind === 'startup');
}
