import { ConfigurationError } from '../../errors.js';
import { noteOutside } from '../../run/outside.js';
import type { ProbeContext } from '../../probe.js';
import type { ProbeData } from '../../report/report.js';
import { rejectUnknownOptions, show } from '../../validation.js';
import { inspectDisk, type DiskTarget, type FreeSpace } from './inspection.js';
import { checkNumber, checkRatio } from '../shared/limits.js';
import { SingleFlight } from '../shared/single-flight.js';
import { untilAborted } from '../shared/until-aborted.js';

const OPTION_NAMES = ['path', 'minFreeBytes', 'minFreeRatio', 'minFreeInodesRatio', 'isWritable'];

/**
 * Resolves to `freeBytes` and `freeInodes` if the folder has enough free space and inodes and is writable. Otherwise it rejects with the reason. It also rejects when the signal is aborted.
 * File calls cannot be cancelled, so at most one check runs per target; later checks wait for it. A file system that hangs blocks one thread of Node's pool until it answers.
 *
 * @throws the reason of the signal if it is aborted before the call; ConfigurationError if an option is out of range
 */
export async function checkDisk(target: DiskTarget, context: Pick<ProbeContext, 'signal'>): Promise<ProbeData> {
  noteOutside(context, 'a disk');
  checkTarget('checkDisk()', target);
  context.signal.throwIfAborted();
  const { bytes, inodes } = await inspect(target, context.signal);
  return { freeBytes: bytes, freeInodes: inodes };
}

/** Inspections in flight in this process. */
const inspections = new SingleFlight<string, FreeSpace>();

export function inspect(target: DiskTarget, signal: AbortSignal): Promise<FreeSpace> {
  const inspection = inspections.joinOrRepeat(JSON.stringify(target), () => inspectDisk(target));
  return untilAborted(inspection, signal, `the file system of ${target.path} has not answered`);
}

export function checkTarget(subject: string, target: DiskTarget): void {
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
