import { getHeapSpaceStatistics, getHeapStatistics } from 'node:v8';
import type { ProbeData } from '../../report/report.js';
import { rejectUnknownOptions } from '../../validation.js';
import { readCgroupMemory, type CgroupMemory } from './cgroup-memory.js';
import { checkRatio } from '../shared/limits.js';

/** Limits of `MemoryProbe` and `checkMemory()`. All are optional. */
export interface MemoryLimits {
  /**
   * Highest ratio of V8's heap limit that the heap may use, 0 to 1.
   * V8 collects garbage late, so a healthy heap can reach 0.8. Above 0.95, V8 collects garbage continuously and soon ends the process.
   * Young objects, about 16 MiB by default, can all become old at once. With a heap limit below about 300 MiB, choose a lower ratio, because they could end the process between two probes.
   * @default 0.95
   */
  maxHeapRatio?: number | undefined;
  /**
   * Highest ratio of the container's memory limit, 0 to 1. It applies to the process alone, and to all processes of the container together, without the caches that the kernel frees before it kills a process.
   * At 1 the kernel kills the process in the middle of its requests. If the probe fails below that, Kubernetes stops the container with SIGTERM, and the process can drain.
   * @default 0.95
   */
  maxRssRatio?: number | undefined;
}

/** `MemoryLimits` with every default filled in. */
export type ResolvedLimits = Readonly<{ [Option in keyof Required<MemoryLimits>]: number }>;

const DEFAULTS: ResolvedLimits = Object.freeze({ maxHeapRatio: 0.95, maxRssRatio: 0.95 });

/** Memory usage and limits of a process, in bytes. */
export interface MemoryUsage {
  readonly heapBytes: number;
  readonly heapLimitBytes: number;
  readonly rssBytes: number;
  /** Undefined if the container has no limit. */
  readonly cgroup: CgroupMemory | undefined;
}

/**
 * Returns the memory usage of the process in bytes. It needs no signal, because it does not wait: it takes about 100 µs of synchronous work.
 *
 * @throws Error if the usage exceeds a limit; ConfigurationError if a limit is out of range
 */
export function checkMemory(limits: MemoryLimits = {}): ProbeData {
  return judgeMemory(readMemory(), limits);
}

/**
 * Judges a reading of the memory usage. Returns the data if the usage is within the limits. It is a pure function.
 *
 * @throws Error if the usage exceeds a limit; ConfigurationError if a limit is out of range
 */
export function judgeMemory({ heapBytes, heapLimitBytes, rssBytes, cgroup }: MemoryUsage, limits: MemoryLimits = {}): ProbeData {
  const { maxHeapRatio, maxRssRatio } = resolveLimits('judgeMemory()', limits);
  checkShare('the heap uses', heapBytes, "V8's limit", heapLimitBytes, maxHeapRatio);
  if (cgroup === undefined) return { heapBytes, heapLimitBytes, rssBytes };
  const { limitBytes, usedBytes } = cgroup;
  checkShare('the process uses', rssBytes, "the container's limit", limitBytes, maxRssRatio);
  checkShare('the processes of the container use', usedBytes, "the container's limit", limitBytes, maxRssRatio);
  return { heapBytes, heapLimitBytes, rssBytes, containerBytes: usedBytes, containerLimitBytes: limitBytes };
}

/** Reads the current memory usage of this process. */
export function readMemory(): MemoryUsage {
  const { heap_size_limit: wholeLimit, used_heap_size: whole } = getHeapStatistics();
  // V8's limit includes three times the size of the new space, most of which stays free. Old objects fill the rest, so only they count.
  const young = getHeapSpaceStatistics().filter(({ space_name: name }) => name.startsWith('new_'));
  return {
    heapBytes: young.reduce((rest, space) => rest - space.space_used_size, whole),
    heapLimitBytes: Math.min(wholeLimit, readOldSpaceFlag() ?? Infinity),
    rssBytes: process.memoryUsage.rss(),
    cgroup: readCgroupMemory(),
  };
}

const BYTES_PER_MIB = 1_048_576;

/** Returns `--max-old-space-size` in bytes. With a small value, V8 runs out of memory far below its total limit: with 64 MiB, at 57 % of the limit on Node 20 and at 25 % on Node 24. */
function readOldSpaceFlag(): number | undefined {
  const flags = [process.env['NODE_OPTIONS'] ?? '', ...process.execArgv].join(' ');
  const [, mebibytes] = [...flags.matchAll(/--max[-_]old[-_]space[-_]size[= ]"?(\d+)/g)].at(-1) ?? [];
  return Number(mebibytes ?? 0) * BYTES_PER_MIB || undefined;
}

function checkShare(subject: string, bytes: number, limit: string, limitBytes: number, maxRatio: number): void {
  if (bytes <= limitBytes * maxRatio) return;
  throw new Error(`${subject} ${inMib(bytes)} of ${limit}, ${inMib(limitBytes)}: more than ${String(Math.round(maxRatio * 1_000) / 10)} %`);
}

function inMib(bytes: number): string {
  return `${String(Math.round(bytes / BYTES_PER_MIB))} MiB`;
}

/** @throws ConfigurationError if a limit is unknown or out of range */
export function resolveLimits(subject: string, limits: MemoryLimits): ResolvedLimits {
  rejectUnknownOptions(subject, limits, Object.keys(DEFAULTS));
  const { maxHeapRatio = DEFAULTS.maxHeapRatio, maxRssRatio = DEFAULTS.maxRssRatio } = limits;
  checkRatio(subject, 'maxHeapRatio', maxHeapRatio);
  checkRatio(subject, 'maxRssRatio', maxRssRatio);
  return { maxHeapRatio, maxRssRatio };
}
