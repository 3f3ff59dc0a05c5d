import { multiInject, type ServiceIdentifier } from 'inversify';
import { ReadinessProbe } from '../decorators.js';
import { ConfigurationError } from '../errors.js';
import type { Probe, ProbeContext } from '../probe.js';
import type { ProbeData } from '../report.js';
import { rejectUnknownOptions, show } from '../validation.js';
import { inspectDisk, type DiskTarget, type FreeSpace } from './disk-inspection.js';
import { checkNumber, checkRatio } from './limits.js';

export type { DiskTarget } from './disk-inspection.js';

/** Bind every folder that `DiskProbe` is to check: `container.bind(DISK_PATH).toConstantValue({ path: '/data' })`. */
export const DISK_PATH: ServiceIdentifier<DiskTarget> = Symbol.for('koa-probes.DISK_PATH');

const OPTION_NAMES = ['path', 'minFreeBytes', 'minFreeRatio', 'minFreeInodesRatio', 'isWritable'];

/** Readiness: every folder that is bound to `DISK_PATH` has room, and can be written. It returns the least of all, `freeBytes` and `freeInodes`. */
@ReadinessProbe({ name: 'disk' })
export class DiskProbe implements Probe {
  readonly #targets: readonly DiskTarget[];
  /** By target, what has not come back yet. */
  readonly #pending = new Map<DiskTarget, Promise<FreeSpace>>();

  constructor(@multiInject(DISK_PATH, { chained: true }) targets: readonly DiskTarget[]) {
    if (targets.length === 0) {
      throw new ConfigurationError(
        "DiskProbe has no folder to check: nothing is bound to DISK_PATH. Call container.bind(DISK_PATH).toConstantValue({ path: '/data' }).",
      );
    }
    for (const target of targets) checkTarget('DISK_PATH', target);
    this.#targets = targets;
  }

  async check({ signal }: ProbeContext): Promise<ProbeData> {
    const spaces = await Promise.all(this.#targets.map((target) => untilAborted(signal, target, this.#inspect(target))));
    return { freeBytes: Math.min(...spaces.map(({ bytes }) => bytes)), freeInodes: Math.min(...spaces.map(({ inodes }) => inodes)) };
  }

  /** A file system that hangs keeps a thread of Node's pool for each call, and all files and names of the application wait when there is none left. So there is one at a time. */
  #inspect(target: DiskTarget): Promise<FreeSpace> {
    const pending = this.#pending.get(target) ?? inspectDisk(target).finally(() => this.#pending.delete(target));
    this.#pending.set(target, pending);
    return pending;
  }
}

/**
 * Resolves to `freeBytes` and `freeInodes` where the folder has room and can be written; rejects where not, saying which it is, or when the signal is aborted.
 * A call to a file system that hangs cannot be cancelled: it keeps a thread of Node's pool until it comes back. Do not begin another before.
 *
 * @throws ConfigurationError where an option is out of its range.
 */
export async function checkDisk(target: DiskTarget, { signal }: Pick<ProbeContext, 'signal'>): Promise<ProbeData> {
  checkTarget('checkDisk()', target);
  signal.throwIfAborted();
  const { bytes, inodes } = await untilAborted(signal, target, inspectDisk(target));
  return { freeBytes: bytes, freeInodes: inodes };
}

async function untilAborted<T>(signal: AbortSignal, { path }: DiskTarget, pending: Promise<T>): Promise<T> {
  let onAbort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(new Error(`the file system of ${path} is silent`, { cause: signal.reason }));
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
  try {
    return await Promise.race([pending, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
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
