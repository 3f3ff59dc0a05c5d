import { readFileSync } from 'node:fs';
import { join, posix } from 'node:path';

/** What the container may use, and what it does use, in bytes. */
export interface CgroupMemory {
  /** Of the control group: 1 (`memory.limit_in_bytes`) or 2 (`memory.max`). */
  readonly version: 1 | 2;
  /** At this the kernel kills a process of the container. */
  readonly limitBytes: number;
  /** All processes of the container together, without what the kernel drops before it kills: the cache of files and its own caches. */
  readonly usedBytes: number;
}

interface Hierarchy {
  readonly version: 1 | 2;
  /** Where it can be mounted, seen from the root. */
  readonly mounts: readonly string[];
  readonly limitFile: string;
  /** What a group holds, without what the kernel drops before it kills. */
  readonly measure: (folder: string) => number;
  /** Whether a line of /proc/self/cgroup, `id:controllers:path`, is of this hierarchy. */
  readonly isNamed: (id: string, controllers: string) => boolean;
}

/** With both mounted, memory is controlled by one of them, and the files of the other are not there. */
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
    // Its usage holds the kernel's own caches too, of names of files for example, and no line says how much of that can be dropped.
    measure(folder) {
      const { total_rss: anonymous = NaN, total_shmem: shared = 0 } = readStat(folder);
      return anonymous + shared;
    },
    isNamed: (_id, controllers) => controllers.split(',').includes('memory'),
  },
];

/**
 * The lowest memory limit that holds for this process, from its own control group up to the root of the mount; undefined where there is none, as on a host or another system than Linux.
 * It is read each time, since Kubernetes can resize a running container. A handful of small synchronous reads of files that the kernel makes, some 10 µs each:
 * asynchronous ones would wait in Node's pool of threads behind the application's files and names, and fail a healthy process.
 *
 * @param root the folder that stands for `/`
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
 * The path and all above it. Inside a container the path can be the host's, of which the mount shows the last folder alone, as its root:
 * the folders that are not there are passed over, and the root is always last.
 */
function listGroups(path: string): string[] {
  const folders = posix.normalize(path).split('/').filter(Boolean);
  return [...folders.map((_, index) => folders.slice(0, folders.length - index).join('/')), '.'];
}

function readGroup(folder: string, { version, limitFile, measure }: Hierarchy): CgroupMemory | undefined {
  const limitBytes = readNumber(join(folder, limitFile));
  // `max`, and what version 1 says for no limit: the largest number of its kind, rounded down to a page.
  if (!Number.isSafeInteger(limitBytes) || limitBytes <= 0) return undefined;
  const usedBytes = measure(folder);
  return Number.isSafeInteger(usedBytes) ? { version, limitBytes, usedBytes: Math.max(0, usedBytes) } : undefined;
}

/** The lines of `memory.stat`, which have a name and a number each. */
function readStat(folder: string): Readonly<Record<string, number>> {
  const lines = (readText(join(folder, 'memory.stat')) ?? '').matchAll(/^(\w+) (\d+)$/gm);
  return Object.fromEntries(Array.from(lines, ([, name = '', bytes]) => [name, Number(bytes)]));
}

/** Not a number where there is none: an empty text is none either. */
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
