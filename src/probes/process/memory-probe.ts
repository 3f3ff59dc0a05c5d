import { inject, optional } from 'inversify';
import { LivenessProbe } from '../../discovery/decorators.js';
import type { Probe } from '../../probe.js';
import type { ProbeData } from '../../report/report.js';
import { checkMemory, resolveLimits, type MemoryLimits, type ResolvedLimits } from './check-memory.js';
import type { TargetToken } from '../shared/target-token.js';

export { checkMemory, judgeMemory, readMemory, type MemoryLimits, type MemoryUsage } from './check-memory.js';
export { readCgroupMemory, type CgroupMemory } from './cgroup-memory.js';

/** Identifier for the limits of `MemoryProbe`. Bind it to change the defaults: `container.bind(MEMORY_LIMITS).toConstantValue({ maxRssRatio: 0.9 })`. */
export const MEMORY_LIMITS: TargetToken<MemoryLimits> = Symbol.for('koa-probes.MEMORY_LIMITS');

/** A liveness probe. It fails if the process is about to run out of memory. It reads only from the process and the kernel. Its data are the readings in bytes. */
@LivenessProbe({ name: 'memory' })
export class MemoryProbe implements Probe {
  readonly #limits: ResolvedLimits;

  constructor(@inject(MEMORY_LIMITS) @optional() limits: MemoryLimits = {}) {
    this.#limits = resolveLimits('MEMORY_LIMITS', limits);
  }

  check(): ProbeData {
    return checkMemory(this.#limits);
  }
}
