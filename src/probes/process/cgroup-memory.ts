import { readFileSync } from 'node:fs';
import { join, posix } from 'node:path';

/** The memory limit and the memory usage of the container, in bytes. */
export interface CgroupMemory {
  /** Version of the control group: 1 (`memory.limit_in_bytes`) or 2 (`memory.max`). */
  readonly version: 1 | 2;
  /** The kernel kills a process of the container when this limit is reached. */
  readonly limitBytes: number;
  /** Memory of all processes of the container. It does not include what the kernel frees before it kills a process: the file cache and the kernel's own caches. */
  readonly usedBytes: number;
}

interface Hierarchy {
  readonly version: 1 | 2;
  /** Possible mount points, relative to the root. */
  readonly mounts: readonly string[];
  readonly limitFile: string;
  /** Returns the memory of a group, without what the kernel frees before it kills a process. */
  readonly measure: (folder: string) => number;
  /** Returns whether a line of /proc/self/cgroup, `id:controllers:path`, belongs to this hierarchy. */
  readonly isNamed: (id: string, controllers: string) => boolean;
}

/** If both are mounted, one of them controls memory, and the other one lacks the memory files. */
const HIERARCHIES: readonly Hierarchy[] = [
  {
    version: 2,
    mounts: ['sys/fs/cgroup', 'sys/fs/cgroup/unified'],
    limitFile: 'memory.max',
    measure(folder) {
      const { active_file: active = 0, inactive_file: inactive = 0, slab_reclaimable: slab = 0 } = readStat(folder);
      return readNumber(join(folder, 'memory.current')) - active - inactive - slab;
    },
    isNamed: (id) => id === '0',
  },
  {
    version: 1,
    mounts: ['sys/fs/cgroup/memory'],
    limitFile: 'memory.limit_in_bytes',
    // `memory.usage_in_bytes` is not used, because it includes the kernel's own caches, for example of file names, and nothing says how much of them can be freed.
    measure(folder) {
      const { total_rss: anonymous = NaN, total_shmem: shared = 0 } = readStat(folder);
      return anonymous + shared;
    },
    isNamed: (_id, controllers) => controllers.split(',').includes('memory'),
  },
];

/**
 * Returns the lowest memory limit for this process, from its own control group up to the root of the mount. Returns undefined if there is no limit, as on a host or on another system than Linux.
 * The limit is read each time, because Kubernetes can resize a running container. The function reads a few small files of the kernel synchronously, in about 10 µs each.
 * Asynchronous reads would wait in Node's thread pool behind the file calls and lookups of the application, and a healthy process could fail.
 *
 * @param root the folder to use instead of `/`
 */
export function readCgroupMemory(root = '/'): CgroupMemory | undefined {
  let lowest: CgroupMemory | undefined;
  for (const line of (readText(join(root, 'proc/self/cgroup')) ?? '').split('\n')) {
    const [, id, controllers, path] = /^(\d+):([^:]*):(\/.*)$/.exec(line) ?? [];
    const hierarchy = HIERARCHIES.find(({ isNamed }) => isNamed(id ?? '', controllers ?? ''));
    if (hierarchy === undefined || path === undefined) continue;
    for (const group of hierarchy.mounts.flatMap((mount) => listGroups(path).map((folder) => join(root, mount, folder)))) {
      const memory = readGroup(group, hierarchy);
      if (memory !== undefined && memory.limitBytes < (lowest?.limitBytes ?? Infinity)) lowest = memory;
    }
  }
  return lowest;
}

/**
 * Returns the path and all folders above it. Inside a container the path can be a path of the host, and the mount shows only its last folder as the root.
 * Folders that do not exist are skipped later. The root is always the last entry.
 */
function listGroups(path: string): string[] {
  const folders = posix.normalize(path).split('/').filter(Boolean);
  return [...folders.map((_, index) => folders.slice(0, folders.length - index).join('/')), '.'];
}

function readGroup(folder: string, { version, limitFile, measure }: Hierarchy): CgroupMemory | undefined {
  const limitBytes = readNumber(join(folder, limitFile));
  // No limit is `max` in version 2. In version 1 it is the largest number, rounded down to a page.
  if (!Number.isSafeInteger(limitBytes) || limitBytes <= 0) return undefined;
  const usedBytes = measure(folder);
  return Number.isSafeInteger(usedBytes) ? { version, limitBytes, usedBytes: Math.max(0, usedBytes) } : undefined;
}

/** Reads the lines of `memory.stat`. Each has a name and a number. */
function readStat(folder: string): Readonly<Record<string, number>> {
  const lines = (readText(join(folder, 'memory.stat')) ?? '').matchAll(/^(\w+) (\d+)$/gm);
  return Object.fromEntries(Array.from(lines, ([, name = '', bytes]) => [name, Number(bytes)]));
}

/** Returns NaN if the file is missing or empty. */
function readNumber(path: string): number {
  return Number(readText(path) || NaN);
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}
