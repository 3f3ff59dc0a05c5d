import type { ProbeClass, ProbeKind, ProbeOptions } from '../probe.js';

/** What the decorators of one class say. */
export interface ProbeMetadata {
  readonly kinds: readonly ProbeKind[];
  readonly options: ProbeOptions;
  /** Made by the decorator: its stack names the copy of the package first, and then the module of the class. Node formats it only if it is read. */
  readonly decoratedAt: Error;
}

interface DecoratedClasses {
  /** In the order in which they were decorated. */
  readonly classes: Set<ProbeClass>;
  /** Kept when the list is cleared: such a class can still be named. */
  readonly metadata: WeakMap<object, ProbeMetadata>;
}

/** One list a process, under a registered symbol: a second installed copy of the package shares it. */
const DECORATED = Symbol.for('koa-probes.decorated');

const shared = globalThis as { [DECORATED]?: DecoratedClasses };
const { classes, metadata } = (shared[DECORATED] ??= { classes: new Set(), metadata: new WeakMap() });

/** Own metadata only: a subclass is a probe only if it is decorated itself. */
export function readProbeMetadata(probeClass: object): ProbeMetadata | undefined {
  return metadata.get(probeClass);
}

export function writeProbeMetadata(probeClass: ProbeClass, record: ProbeMetadata): void {
  metadata.set(probeClass, record);
  classes.add(probeClass);
}

/** All classes that have been decorated so far in this process, in that order. */
export function listDecoratedClasses(): readonly ProbeClass[] {
  return [...classes];
}

/**
 * Forgets which classes have been decorated so far, so that `discoverProbes()` finds only those whose modules are loaded afterwards. For tests that load modules again.
 * A class that was decorated before can still be named in `classes`.
 */
export function resetProbes(): void {
  classes.clear();
}
