import { becauseOf } from '../errors.js';
import type { ProbeClass } from '../probe.js';

/** What is used of the package. */
export interface Inversify {
  injectable(): (target: ProbeClass) => unknown;
}

/** Loads the package when there is a container, and not before: the decorators work without it. */
export async function importInversify(): Promise<Inversify> {
  // Within `try`, as a bundler then takes a missing package for optional.
  try {
    return await import('inversify');
  } catch (error) {
    throw becauseOf(
      'discoverProbes(container) needs the package inversify, and it cannot be imported. Install it beside koa-probes, or call discoverProbes() without a container.',
      error,
    );
  }
}
