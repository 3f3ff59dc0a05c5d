/** A registered symbol, so that a second installed copy of the package uses the same one. */
const INSPECTION = Symbol.for('koa-probes.inspection');

const shared = globalThis as { [INSPECTION]?: true };

/**
 * From now on this package creates no socket and no heartbeat in this process, and runs no probe in the background.
 * A command uses this when it imports an application only to read its configuration, on a machine without its ports and directories. The command itself holds back servers that listen on ports.
 */
export function beginInspection(): void {
  shared[INSPECTION] = true;
}

export function isInspected(): boolean {
  return shared[INSPECTION] === true;
}
