import type { ProbeClass, ProbeKind, ProbeOptions } from '../probe.js';

/** The settings that the decorators of one class have recorded. */
export interface ProbeMetadata {
  readonly kinds: readonly ProbeKind[];
  readonly options: ProbeOptions;
  /** Created by the decorator. Its stack names the copy of the package and then the module of the class. Node formats the stack only when it is read. */
  readonly decoratedAt: Error;
}

interface DecoratedClasses {
  /** In the order in which they were decorated. */
  readonly classes: Set<ProbeClass>;
  /** Not cleared with `classes`, so that a class can still be listed by the application. */
  readonly metadata: WeakMap<object, ProbeMetadata>;
}

/** One list per process, under a registered symbol, so that a second installed copy of the package shares it. */
const DECORATED = Symbol.for('koa-probes.decorated');

const shared = globalThis as { [DECORATED]?: DecoratedClasses };
const { classes, metadata } = (shared[DECORATED] ??= { classes: new Set(), metadata: new WeakMap() });

/** Returns the metadata of the class itself. A subclass is a probe only if it is decorated too. */
export function readProbeMetadata(probeClass: object): ProbeMetadata | undefined {
  return metadata.get(probeClass);
}

export function writeProbeMetadata(probeClass: ProbeClass, record: ProbeMetadata): void {
  metadata.set(probeClass, record);
  classes.add(probeClass);
}

/** Returns all classes that have been decorated so far in this process, in that order. */
export function listDecoratedClasses(): readonly ProbeClass[] {
  return [...classes];
}

/**
 * Clears the list of decorated classes, so that `discoverProbes()` finds only the classes of modules that are loaded afterwards. Use it in tests that load modules again.
 * A class that was decorated before can still be listed in the option `classes`.
 */
export function resetProbes(): void {
  classes.clear();
}
