/** Registered, so that a second installed copy of the package is understood. */
const INSPECTION = Symbol.for('koa-probes.inspection');

const shared = globalThis as { [INSPECTION]?: true };

/**
 * From now on this package makes no socket and no heartbeat in this process, and runs no probe in the background.
 * For a command that imports an application to read how it is set up, on a machine that has neither its ports nor its directories. The command holds the servers that listen on ports.
 */
export function beginInspection(): void {
  shared[INSPECTION] = true;
}

export function isInspected(): boolean {
  return shared[INSPECTION] === true;
}
