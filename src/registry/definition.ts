import { ConfigurationError } from '../errors.js';
import { PROBE_KINDS, resolveProbeOptions, type Probe, type ProbeKind, type ProbeOptions, type ResolvedProbeOptions } from '../probe.js';
import { checkArray, checkName, checkObject, checkOneOf, show } from '../validation.js';

/** The definition of a probe without a class. */
export interface ProbeDefinition extends ProbeOptions {
  /** Name of the probe in responses, logs and settings. 1 to 100 letters, digits, `.`, `_` and `-`. Unique in its registry. */
  name: string;
  /** One or more of `liveness`, `readiness` and `startup`. */
  kinds: readonly ProbeKind[];
  /** The check, see `Probe.check`. */
  check: Probe['check'];
}

/** A validated definition with every default filled in. */
export interface ResolvedDefinition {
  readonly name: string;
  readonly kinds: readonly ProbeKind[];
  readonly probe: Probe;
  readonly options: ResolvedProbeOptions;
}

/** The name of the library's own check. */
export const LIFECYCLE = 'lifecycle';

export function resolveDefinition(definition: ProbeDefinition): ResolvedDefinition {
  checkObject('the definition of a probe', definition);
  const { name, kinds, check, ...options } = definition;
  checkName('a probe', name);
  if (name === LIFECYCLE)
    throw new ConfigurationError(`The name "${LIFECYCLE}" is reserved for the library's own check. Choose another name.`);
  const subject = `probe ${show(name)}`;
  checkArray(`\`kinds\` of ${subject}`, kinds);
  if (kinds.length === 0)
    throw new ConfigurationError(`Expected \`kinds\` of ${subject} to contain one or more of ${PROBE_KINDS.map(show).join(', ')}.`);
  for (const kind of kinds) checkOneOf(subject, 'kinds', kind, PROBE_KINDS);
  if (typeof check !== 'function') throw new ConfigurationError(`Expected \`check\` of ${subject} to be a function, got ${show(check)}.`);
  return { name, kinds: [...new Set(kinds)], probe: { check }, options: resolveProbeOptions(subject, options) };
}
