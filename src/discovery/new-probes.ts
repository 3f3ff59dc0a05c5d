import { becauseOf, ConfigurationError } from '../errors.js';
import type { Probe, ProbeClass } from '../probe.js';
import { constructorOf } from './constructors.js';
import { describeClass } from './names.js';
import { readOutside } from '../run/outside.js';

/** Creates a probe with `new`. Without a container, its constructor gets no arguments. */
export function makeWithNew(probeClass: ProbeClass): Probe {
  const { length } = constructorOf(probeClass);
  if (readOutside(probeClass) !== undefined && length > 0) {
    throw new ConfigurationError(
      `${describeClass(probeClass)} cannot be created without a container, because the container provides what it checks. The probe was added because its module was imported. ` +
        "Call discoverProbes(container) with an Inversify container, leave the probe out with `disabled`, or import its plain function from 'koa-probes/checks', which adds no probe.",
    );
  }
  if (length > 0) {
    throw new ConfigurationError(
      `${describeClass(probeClass)} cannot be created without a container: its constructor takes ${String(length)} ${length === 1 ? 'argument' : 'arguments'}. ` +
        'Give each parameter a default value, call discoverProbes(container) with an Inversify container, or register an instance of your own: `probes.register({ name, kinds, check: () => probe.check() })`.',
    );
  }
  try {
    return new probeClass();
  } catch (error) {
    throw becauseOf(
      `${describeClass(probeClass)} could not be created: its constructor threw. Fix the constructor, or leave the probe out with \`disabled\`.`,
      error,
    );
  }
}
