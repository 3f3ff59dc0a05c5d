import type { ProbeClass, ProbeContext } from '../probe.js';

/** Registered, so that a second installed copy of the package is understood. */
export const OUTSIDE = Symbol.for('koa-probes.outside');

/** A context that hears of it when a check reaches outside the process. */
export interface OutsideListener {
  [OUTSIDE](what: string): void;
}

/** A class decorator: the class, and every class that extends it, checks something outside the process, `a database` for example. */
export function ChecksOutside(what: string): (probeClass: ProbeClass) => void {
  return (probeClass) => {
    Object.defineProperty(probeClass, OUTSIDE, { value: what });
  };
}

/** What the instances of the class check outside the process. */
export function readOutside(probeClass: ProbeClass): string | undefined {
  return (probeClass as ProbeClass & { readonly [OUTSIDE]?: string })[OUTSIDE];
}

/** For a plain check function: tells the registry, if one runs it, that the probe reaches outside the process. */
export function noteOutside(context: Partial<ProbeContext>, what: string): void {
  (context as Partial<OutsideListener>)[OUTSIDE]?.(what);
}
