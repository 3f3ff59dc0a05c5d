import { multiInject } from 'inversify';
import { ReadinessProbe } from '../../discovery/decorators.js';
import { ChecksOutside, noteOutside } from '../../run/outside.js';
import type { Probe, ProbeContext } from '../../probe.js';
import type { ProbeData } from '../../report/report.js';
import { checkTarget, inspect } from './check-disk.js';
import type { DiskTarget, FreeSpace } from './inspection.js';
import { checkTargets, requireTargets } from '../shared/targets.js';
import type { TargetToken } from '../shared/target-token.js';

export { checkDisk } from './check-disk.js';
export type { DiskTarget } from './inspection.js';

/** Identifier for the folders that `DiskProbe` checks. Bind each folder: `container.bind(DISK_PATH).toConstantValue({ path: '/data' })`. */
export const DISK_PATH: TargetToken<DiskTarget> = Symbol.for('koa-probes.DISK_PATH');

/**
 * A readiness probe. It passes if every folder that is bound to `DISK_PATH` has enough free space and inodes and is writable.
 * Its data are `freeBytes` and `freeInodes`, each the lowest value of all folders.
 */
@ChecksOutside('a disk')
@ReadinessProbe({ name: 'disk' })
export class DiskProbe implements Probe {
  readonly #targets: readonly DiskTarget[];

  constructor(@multiInject(DISK_PATH, { chained: true }) targets: readonly DiskTarget[]) {
    requireTargets('DiskProbe', targets, 'DISK_PATH', "{ path: '/data' }");
    for (const target of targets) checkTarget('DISK_PATH', target);
    this.#targets = targets;
  }

  async check(context: ProbeContext): Promise<ProbeData> {
    noteOutside(context, 'a disk');
    const spaces: FreeSpace[] = [];
    await checkTargets(this.#targets, context, async (target, { signal }) => void spaces.push(await inspect(target, signal)));
    return { freeBytes: Math.min(...spaces.map(({ bytes }) => bytes)), freeInodes: Math.min(...spaces.map(({ inodes }) => inodes)) };
  }
}
