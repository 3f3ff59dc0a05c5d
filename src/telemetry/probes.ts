import { ConfigurationError } from '../errors.js';
import type { ProbeRegistry } from '../registry/registry.js';
import { show } from '../validation.js';

/** Checks for methods and not for the class, because the registry may come from another installed copy of the package. */
export function checkProbes(caller: string, probes: Partial<ProbeRegistry> | undefined): void {
  if (typeof probes?.observers?.add === 'function' && typeof probes.status === 'function') return;
  throw new ConfigurationError(
    `Expected \`probes\` of ${caller} to be a ProbeRegistry, got ${show(probes)}. Pass the result of \`await discoverProbes(container)\`.`,
  );
}
