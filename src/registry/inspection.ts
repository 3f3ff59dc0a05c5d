/** Registered, so that a second installed copy of the package is understood. */
const INSPECTION = Symbol.for('koa-probes.inspection');

const shared = globalThis as { [INSPECTION]?: true };

/**
 * From now on nothing of this package starts in this process: no server of it listens, no heartbeat is written, and no probe is run in the background.
 * For a command that imports an application to read how it is set up, on a machine that has neither its ports nor its directories.
 */
export function beginInspection(): void {
  shared[INSPECTION] = true;
}

export function isInspected(): boolean {
  return shared[INSPECTION] === true;
}
