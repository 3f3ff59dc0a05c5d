import type { ProbeClass, ProbeContext } from '../probe.js';

/** A registered symbol, so that a second installed copy of the package uses the same one. */
export const OUTSIDE = Symbol.for('koa-probes.outside');

/** A context that is told when a check uses something outside the process. */
export interface OutsideListener {
  [OUTSIDE](what: string): void;
}

/** A class decorator. It marks a class and its subclasses: they check something outside the process, for example `a database`. */
export function ChecksOutside(what: string): (probeClass: ProbeClass) => void {
  return (probeClass) => {
    Object.defineProperty(probeClass, OUTSIDE, { value: what });
  };
}

/** Returns what the instances of the class check outside the process. */
export function readOutside(probeClass: ProbeClass): string | undefined {
  return (probeClass as ProbeClass & { readonly [OUTSIDE]?: string })[OUTSIDE];
}

/** For plain check functions: if a registry runs the function, it tells the registry that the probe uses something outside the process. */
export function noteOutside(context: Partial<ProbeContext>, what: string): void {
  (context as Partial<OutsideListener>)[OUTSIDE]?.(what);
}
