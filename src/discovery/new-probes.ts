import { becauseOf, ConfigurationError } from '../errors.js';
import type { Probe, ProbeClass } from '../probe.js';
import { constructorOf } from './constructors.js';
import { describeClass } from './names.js';

/** Makes a class with `new`, as nobody says what its constructor takes. */
export function makeWithNew(probeClass: ProbeClass): Probe {
  const { length } = constructorOf(probeClass);
  if (length > 0) {
    throw new ConfigurationError(
      `${describeClass(probeClass)} cannot be made without a container: its constructor takes ${String(length)} ${length === 1 ? 'argument' : 'arguments'}. ` +
        'Give each parameter a default value, call discoverProbes(container) with a Container of Inversify, or register an instance of your own: `probes.register({ name, kinds, check: () => probe.check() })`.',
    );
  }
  try {
    return new probeClass();
  } catch (error) {
    throw becauseOf(
      `${describeClass(probeClass)} cannot be made: its constructor threw. Mend it, or leave it out with \`disabled\`.`,
      error,
    );
  }
}
