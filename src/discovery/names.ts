import { ConfigurationError } from '../errors.js';
import { nameOfClass, type ProbeClass } from '../probe.js';
import { isName, listed } from '../validation.js';
import type { ProbeMetadata } from './metadata.js';

/** A decorated class and the name of its probe. */
export interface Candidate {
  readonly name: string;
  readonly probeClass: ProbeClass;
  readonly metadata: ProbeMetadata;
}

const CURE =
  "Set the name in the decorator, `@ReadinessProbe({ name: 'search' })`, or keep class names in the build (`keepNames: true` in esbuild)";

/** Returns the name from the decorator, or else the name that is derived from the class. */
export function nameCandidate(probeClass: ProbeClass, metadata: ProbeMetadata): string {
  const { name } = metadata.options;
  if (name !== undefined) return name;
  const derived = nameOfClass(classNameOf(probeClass));
  if (isName(derived)) return derived;
  throw new ConfigurationError(
    `${describeClass(probeClass)}: no valid name can be derived from the class, it would be ${JSON.stringify(derived)}. ${CURE}.`,
  );
}

export function describeClass(probeClass: ProbeClass): string {
  return classNameOf(probeClass) || 'An anonymous class';
}

/** A static member called `name` hides the name of the class. */
function classNameOf(probeClass: ProbeClass): string {
  const { name } = probeClass as { name: unknown };
  return typeof name === 'string' ? name : '';
}

/** Returns a warning about names that the next build may change. */
export function findGeneratedNames(candidates: readonly Candidate[]): string | undefined {
  const generated = candidates.filter(hasGeneratedName);
  if (generated.length === 0) return undefined;
  return (
    `the class names ${listed(generated.map(({ probeClass }) => probeClass.name))} look as if a minifier or a bundler had generated them. ` +
    `The probes are named after these classes, ${listed(generated.map(({ name }) => name))}, so each build can change their names. ${CURE}.`
  );
}

const GENERATED = [
  // Minifiers start with one and two characters: `r`, `fa`, `t1`. Three characters that form a word or an abbreviation count as written by an author.
  /^[\w$]{1,2}$/,
  /^(?![A-Z][a-z]{2}$|[A-Z]{2}[A-Z\d]$)[\w$]{3}$/,
  // If a name is already taken: `QueueProbe2` (esbuild), `QueueProbe$1` (Rollup), `_QueueProbe` (Babel, swc), `queue_QueueProbe` (webpack).
  /(?:Probe|Check|Indicator)[_$]?\d+$/,
  // `Queue2`, because bundlers count from 2. `Http2` and `OAuth2` are names that authors give.
  /^(?!.*(?:[Hh]ttp|[Oo]?[Aa]uth|[Vv]|[Hh]|[Ll]og4|[Pp]ython|[Ss]wagger)\d+$).*[a-z]{2}[2-9]\d?$/,
  /\$/,
  /^_/,
  /^[a-z\d]\w*_[A-Z]\w*$/,
  // If a class has no name: `class_1`, `default_1`.
  /^(?:class|default)_?\d*$/,
];

/** Returns whether the probe is named after its class and the name of the class looks generated. `DbProbe`, `S3Probe` and `Http2Probe` do not. */
export function hasGeneratedName({ metadata, probeClass }: Candidate): boolean {
  return metadata.options.name === undefined && GENERATED.some((pattern) => pattern.test(classNameOf(probeClass)));
}
