import { getHeapSpaceStatistics, getHeapStatistics } from 'node:v8';
import type { ProbeData } from '../../report/report.js';
import { rejectUnknownOptions } from '../../validation.js';
import { readCgroupMemory, type CgroupMemory } from './cgroup-memory.js';
import { checkRatio } from '../shared/limits.js';

export interface MemoryLimits {
  /**
   * How much of V8's limit its heap may hold: 0 to 1.
   * V8 lets garbage lie until the heap is large, so that a healthy one comes near 0.8; above 0.95 it collects without end and ends the process soon.
   * Young objects, some 16 MiB by default, can all grow old at once: with a limit below some 300 MiB choose a lower ratio, or they end the process between two probes.
   * @default 0.95
   */
  maxHeapRatio?: number | undefined;
  /**
   * How much of the container's limit the process may hold, and all processes of the container together, without the caches that the kernel drops before it kills: 0 to 1.
   * At 1 the kernel kills the process within the request that it is at; below, Kubernetes stops it with SIGTERM, and it drains.
   * @default 0.95
   */
  maxRssRatio?: number | undefined;
}

/** `MemoryLimits` with its defaults filled in. */
export type ResolvedLimits = Readonly<{ [Option in keyof Required<MemoryLimits>]: number }>;

const DEFAULTS: ResolvedLimits = Object.freeze({ maxHeapRatio: 0.95, maxRssRatio: 0.95 });

/** What a process holds and what it may hold, in bytes. */
export interface MemoryUsage {
  readonly heapBytes: number;
  readonly heapLimitBytes: number;
  readonly rssBytes: number;
  /** Undefined where the container has no limit. */
  readonly cgroup: CgroupMemory | undefined;
}

/**
 * Returns what the process holds, in bytes, at once: about 100 µs of synchronous work and no waiting, hence no signal.
 *
 * @throws Error where it is more than the limits allow; ConfigurationError where a limit is out of its range.
 */
export function checkMemory(limits: MemoryLimits = {}): ProbeData {
  return judgeMemory(readMemory(), limits);
}

/**
 * The verdict on a reading: its data, where it is within the limits. Pure.
 *
 * @throws Error where it is not; ConfigurationError where a limit is out of its range.
 */
export function judgeMemory({ heapBytes, heapLimitBytes, rssBytes, cgroup }: MemoryUsage, limits: MemoryLimits = {}): ProbeData {
  const { maxHeapRatio, maxRssRatio } = resolveLimits('judgeMemory()', limits);
  checkShare('the heap holds', heapBytes, "V8's limit", heapLimitBytes, maxHeapRatio);
  if (cgroup === undefined) return { heapBytes, heapLimitBytes, rssBytes };
  const { limitBytes, usedBytes } = cgroup;
  checkShare('the process holds', rssBytes, "the container's limit", limitBytes, maxRssRatio);
  checkShare('the processes of the container hold', usedBytes, "the container's limit", limitBytes, maxRssRatio);
  return { heapBytes, heapLimitBytes, rssBytes, containerBytes: usedBytes, containerLimitBytes: limitBytes };
}

/** What this process holds now. */
export function readMemory(): MemoryUsage {
  const { heap_size_limit: wholeLimit, used_heap_size: whole } = getHeapStatistics();
  // The limit has room for the new space three times over, most of which stays free: what is old fills the rest, and with it the heap.
  const young = getHeapSpaceStatistics().filter(({ space_name: name }) => name.startsWith('new_'));
  return {
    heapBytes: young.reduce((rest, space) => rest - space.space_used_size, whole),
    heapLimitBytes: Math.min(wholeLimit, readOldSpaceFlag() ?? Infinity),
    rssBytes: process.memoryUsage.rss(),
    cgroup: readCgroupMemory(),
  };
}

const BYTES_PER_MIB = 1_048_576;

/** `--max-old-space-size`, in bytes. With a small one V8 is at its end far below its whole limit: with 64 MiB at 57 % of it on Node 20, at 25 % on Node 24. */
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

/** @throws ConfigurationError where a limit is unknown or out of its range. */
export function resolveLimits(subject: string, limits: MemoryLimits): ResolvedLimits {
  rejectUnknownOptions(subject, limits, Object.keys(DEFAULTS));
  const { maxHeapRatio = DEFAULTS.maxHeapRatio, maxRssRatio = DEFAULTS.maxRssRatio } = limits;
  checkRatio(subject, 'maxHeapRatio', maxHeapRatio);
  checkRatio(subject, 'maxRssRatio', maxRssRatio);
  return { maxHeapRatio, maxRssRatio };
}
