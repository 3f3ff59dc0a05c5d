import { randomUUID } from 'node:crypto';
import { open, stat, statfs, unlink } from 'node:fs/promises';
import { join } from 'node:path';

/** A folder to check. */
export interface DiskTarget {
  /** Path of a folder. The check covers the file system that contains it. */
  path: string;
  /**
   * Least free space for this user, in bytes. 0 or more.
   * @default 0
   */
  minFreeBytes?: number | undefined;
  /**
   * Least free space for this user, as a ratio of the space that this user can have, 0 to 1.
   * For comparison: the kubelet starts to evict pods at 0.1 on the node's own disk, and does not check volumes.
   * @default 0.05, or 0 if `minFreeBytes` is set
   */
  minFreeRatio?: number | undefined;
  /**
   * Least free inodes, as a ratio of all inodes, 0 to 1. Without a free inode no file can be created, even if there is free space.
   * The limit does not apply to file systems that do not count inodes.
   * @default 0.05
   */
  minFreeInodesRatio?: number | undefined;
  /**
   * Whether the folder must be writable. The check writes 1 byte to a file that is unlinked before the write, so that no file is left behind.
   * @default true
   */
  isWritable?: boolean | undefined;
}

/** The free space and the free inodes for this user. */
export interface FreeSpace {
  readonly bytes: number;
  readonly inodes: number;
}

/** Resolves if the folder has enough free space and inodes and is writable. Otherwise it rejects with the reason. None of its calls can be cancelled. */
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
  // Like df, do not count the blocks that are reserved for root.
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
  EACCES: `is not accessible for user ${String(process.geteuid?.())}`,
  EPERM: `is not accessible for user ${String(process.geteuid?.())}`,
  EROFS: 'is mounted read-only',
  ENOSPC: 'is full: a file cannot be written',
  EDQUOT: "is full: the user's quota is used up",
  EIO: 'is broken: input/output error',
  ESTALE: 'is gone: the file server does not know it any longer (stale file handle)',
};

function fail(path: string, cause: unknown): never {
  const { code } = cause as NodeJS.ErrnoException;
  throw new Error(`${path} ${PROBLEMS[code ?? ''] ?? 'cannot be checked'}`, { cause });
}

function inMib(bytes: number): string {
  const mebibytes = bytes / 1_048_576;
  return `${mebibytes < 100 ? mebibytes.toFixed(1) : String(Math.round(mebibytes))} MiB`;
}
