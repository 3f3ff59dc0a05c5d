import { becauseOf, ConfigurationError } from '../errors.js';
import type { Probe, ProbeClass } from '../probe.js';
import { constructorOf } from './constructors.js';
import { describeClass } from './names.js';
import { readOutside } from '../run/outside.js';

/** Makes a class with `new`, as nobody says what its constructor takes. */
export function makeWithNew(probeClass: ProbeClass): Probe {
  const { length } = constructorOf(probeClass);
  if (readOutside(probeClass) !== undefined && length > 0) {
    throw new ConfigurationError(
      `${describeClass(probeClass)} cannot be made without a container, which gives it what to check. It was added because its module was imported: ` +
        "call discoverProbes(container) with a Container of Inversify, leave the probe out with `disabled`, or import its plain function from 'koa-probes/checks', which adds no probe.",
    );
  }
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
