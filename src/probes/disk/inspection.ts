import { randomUUID } from 'node:crypto';
import { open, stat, statfs, unlink } from 'node:fs/promises';
import { join } from 'node:path';

export interface DiskTarget {
  /** A folder. What is checked is the file system that holds it. */
  path: string;
  /**
   * How much must be free for this user, in bytes.
   * @default 0
   */
  minFreeBytes?: number | undefined;
  /**
   * How much must be free for this user, as a share of all that it could have: 0 to 1. The kubelet begins to evict pods at 0.1 on the node's own disk, and never looks at a volume.
   * @default 0.05, or 0 where `minFreeBytes` is given
   */
  minFreeRatio?: number | undefined;
  /**
   * How many inodes must be free, as a share of all: 0 to 1. Without one there is no new file, however much space there is. Passed over on file systems that do not count them.
   * @default 0.05
   */
  minFreeInodesRatio?: number | undefined;
  /**
   * Whether the folder must be writable. It is tried with a file of 1 byte, which loses its name before it is written, so that nothing is left behind.
   * @default true
   */
  isWritable?: boolean | undefined;
}

/** What is free for this user. */
export interface FreeSpace {
  readonly bytes: number;
  readonly inodes: number;
}

/** Resolves where the folder has room and can be written; rejects with the reason where not. No call in it can be cancelled. */
export async function inspectDisk({
  path,
  minFreeBytes,
  minFreeRatio,
  minFreeInodesRatio = 0.05,
  isWritable = true,
}: DiskTarget): Promise<FreeSpace> {
  const info = await stat(path).catch((error: unknown) => fail(path, error));
  if (!info.isDirectory()) throw new Error(`${path} is not a folder`);
  const { bsize, blocks, bfree, bavail, files, ffree } = await statfs(path).catch((error: unknown) => fail(path, error));
  const bytes = bavail * bsize;
  // As df counts: what is kept back for root is not this user's.
  const allBytes = (blocks - bfree + bavail) * bsize;
  const leastBytes = Math.max(minFreeBytes ?? 0, allBytes * (minFreeRatio ?? (minFreeBytes === undefined ? 0.05 : 0)));
  if (bytes < leastBytes) {
    throw new Error(`${path} is full: ${inMib(bytes)} of ${inMib(allBytes)} are free, less than ${inMib(leastBytes)}`);
  }
  const leastInodes = files * minFreeInodesRatio;
  if (ffree < leastInodes) {
    throw new Error(`${path} is out of inodes: ${String(ffree)} of ${String(files)} are free, less than ${String(Math.ceil(leastInodes))}`);
  }
  if (isWritable) await tryToWrite(path).catch((error: unknown) => fail(path, error));
  return { bytes, inodes: ffree };
}

async function tryToWrite(path: string): Promise<void> {
  const name = join(path, `.koa-probes-${randomUUID()}`);
  const file = await open(name, 'wx', 0o600);
  try {
    await unlink(name);
    await file.write('.');
  } finally {
    await file.close();
  }
}

const PROBLEMS: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  ENOTDIR: 'is not a folder',
  EACCES: `is closed to user ${String(process.geteuid?.())}`,
  EPERM: `is closed to user ${String(process.geteuid?.())}`,
  EROFS: 'is mounted read-only',
  ENOSPC: 'is full: a file cannot be written',
  EDQUOT: "is full: the user's quota is used up",
  EIO: 'is broken: input or output error',
  ESTALE: 'is gone: the server of the file system does not know it any more',
};

function fail(path: string, cause: unknown): never {
  const { code } = cause as NodeJS.ErrnoException;
  throw new Error(`${path} ${PROBLEMS[code ?? ''] ?? 'cannot be checked'}`, { cause });
}

function inMib(bytes: number): string {
  const mebibytes = bytes / 1_048_576;
  return `${mebibytes < 100 ? mebibytes.toFixed(1) : String(Math.round(mebibytes))} MiB`;
}
