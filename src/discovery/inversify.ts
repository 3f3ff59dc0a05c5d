import { becauseOf } from '../errors.js';
import type { ProbeClass } from '../probe.js';

/** The part of the package that is used. */
export interface Inversify {
  injectable(): (target: ProbeClass) => unknown;
}

/** Loads the package only if there is a container, because the decorators work without it. */
export async function importInversify(): Promise<Inversify> {
  // A bundler treats a package that is imported within `try` as optional.
  try {
    return await import('inversify');
  } catch (error) {
    throw becauseOf(
      'discoverProbes(container) needs the package inversify, but it cannot be imported. Install inversify next to koa-probes, or call discoverProbes() without a container.',
      error,
    );
  }
}
