import 'reflect-metadata/lite';
import type { ProbeKind, ProbeOptions } from '../probe.js';

/** What the decorators of one class say. */
export interface ProbeMetadata {
  readonly kinds: readonly ProbeKind[];
  readonly options: ProbeOptions;
}

/** Registered, so that a second installed copy of the package reads what the first has written. */
const METADATA_KEY = Symbol.for('koa-probes.metadata');

/** Own metadata only: a subclass is a probe only if it is decorated itself. */
export function readProbeMetadata(probeClass: object): ProbeMetadata | undefined {
  return Reflect.getOwnMetadata(METADATA_KEY, probeClass) as ProbeMetadata | undefined;
}

export function writeProbeMetadata(probeClass: object, metadata: ProbeMetadata): void {
  Reflect.defineMetadata(METADATA_KEY, metadata, probeClass);
}
