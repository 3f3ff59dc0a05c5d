import { multiInject } from 'inversify';
import { ReadinessProbe } from '../../discovery/decorators.js';
import { ConfigurationError } from '../../errors.js';
import { ChecksOutside, noteOutside } from '../../run/outside.js';
import type { Probe, ProbeContext } from '../../probe.js';
import type { ProbeData } from '../../report/report.js';
import { rejectUnknownOptions, show } from '../../validation.js';
import { inspectDisk, type DiskTarget, type FreeSpace } from './inspection.js';
import { checkNumber, checkRatio } from '../shared/limits.js';
import { SingleFlight } from '../shared/single-flight.js';
import { checkTargets, requireTargets } from '../shared/targets.js';
import { untilAborted } from '../shared/until-aborted.js';
import type { TargetToken } from '../shared/target-token.js';

export type { DiskTarget } from './inspection.js';

/** Bind every folder that `DiskProbe` is to check: `container.bind(DISK_PATH).toConstantValue({ path: '/data' })`. */
export const DISK_PATH: TargetToken<DiskTarget> = Symbol.for('koa-probes.DISK_PATH');

const OPTION_NAMES = ['path', 'minFreeBytes', 'minFreeRatio', 'minFreeInodesRatio', 'isWritable'];

/** Readiness: every folder that is bound to `DISK_PATH` has room, and can be written. It returns the least of all, `freeBytes` and `freeInodes`. */
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

/**
 * Resolves to `freeBytes` and `freeInodes` where the folder has room and can be written; rejects where not, saying which it is, or when the signal is aborted.
 * A call to a file system that hangs cannot be cancelled: it keeps a thread of Node's pool until it comes back. The next check of the same target joins it.
 *
 * @throws the signal's reason where that is aborted before the call; ConfigurationError where an option is out of its range.
 */
export async function checkDisk(target: DiskTarget, context: Pick<ProbeContext, 'signal'>): Promise<ProbeData> {
  noteOutside(context, 'a disk');
  checkTarget('checkDisk()', target);
  context.signal.throwIfAborted();
  const { bytes, inodes } = await inspect(target, context.signal);
  return { freeBytes: bytes, freeInodes: inodes };
}

/** Under way in this process. */
const inspections = new SingleFlight<string, FreeSpace>();

function inspect(target: DiskTarget, signal: AbortSignal): Promise<FreeSpace> {
  const inspection = inspections.join(JSON.stringify(target), () => inspectDisk(target));
  return untilAborted(inspection, signal, `the file system of ${target.path} has not answered`);
}

function checkTarget(subject: string, target: DiskTarget): void {
  rejectUnknownOptions(subject, target, OPTION_NAMES);
  const { path, minFreeBytes = 0, minFreeRatio = 0, minFreeInodesRatio = 0, isWritable = true } = target;
  if (typeof path !== 'string' || path === '') {
    throw new ConfigurationError(`Expected \`path\` of ${subject} to be the path of a folder, got ${show(path)}.`);
  }
  checkNumber(subject, 'minFreeBytes', minFreeBytes, 0, Number.MAX_SAFE_INTEGER);
  checkRatio(subject, 'minFreeRatio', minFreeRatio);
  checkRatio(subject, 'minFreeInodesRatio', minFreeInodesRatio);
  if (typeof isWritable !== 'boolean') {
    throw new ConfigurationError(`Expected \`isWritable\` of ${subject} to be true or false, got ${show(isWritable)}.`);
  }
}
