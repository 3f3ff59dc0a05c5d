import { ConfigurationError } from '../errors.js';
import { nameOfClass, type ProbeClass } from '../probe.js';
import { isName, listed } from '../validation.js';
import type { ProbeMetadata } from './metadata.js';

/** A decorated class, and what its probe is called. */
export interface Candidate {
  readonly name: string;
  readonly probeClass: ProbeClass;
  readonly metadata: ProbeMetadata;
}

const CURE =
  "Name it in its decorator, `@ReadinessProbe({ name: 'search' })`, or keep the names of classes in the build, `keepNames: true` in esbuild";

/** The name in the decorator, or else the one that follows from the class. */
export function nameCandidate(probeClass: ProbeClass, metadata: ProbeMetadata): string {
  const { name } = metadata.options;
  if (name !== undefined) return name;
  const derived = nameOfClass(classNameOf(probeClass));
  if (isName(derived)) return derived;
  throw new ConfigurationError(
    `${describeClass(probeClass)}: Expected \`name\` in its decorator, because the class gives the name ${JSON.stringify(derived)}. ${CURE}.`,
  );
}

export function describeClass(probeClass: ProbeClass): string {
  return classNameOf(probeClass) || 'An anonymous class';
}

/** A static member of the class can take the place of its name. */
function classNameOf(probeClass: ProbeClass): string {
  const { name } = probeClass as { name: unknown };
  return typeof name === 'string' ? name : '';
}

/** A warning on the names that the next build would change. */
export function findGeneratedNames(candidates: readonly Candidate[]): string | undefined {
  const generated = candidates.filter(hasGeneratedName);
  if (generated.length === 0) return undefined;
  return (
    `the class names ${listed(generated.map(({ probeClass }) => probeClass.name))} look as if a minifier or a bundler had made them, ` +
    `and so do the names of their probes, ${listed(generated.map(({ name }) => name))}: each build can change them. ${CURE}.`
  );
}

const GENERATED = [
  // Minifiers begin with one and two letters: `r`, `fa`, `t1`. A name of three that is a word or an abbreviation is taken for an honest one.
  /^[\w$]{1,2}$/,
  /^(?![A-Z][a-z]{2}$|[A-Z]{2}[A-Z\d]$)[\w$]{3}$/,
  // Where a name is taken: `QueueProbe2` (esbuild), `QueueProbe$1` (Rollup), `_QueueProbe` (Babel, swc), `queue_QueueProbe` (webpack).
  /(?:Probe|Check|Indicator)[_$]?\d+$/,
  // `Queue2`: bundlers count from 2. `Http2` and `OAuth2` are honest.
  /^(?!.*(?:[Hh]ttp|[Oo]?[Aa]uth|[Vv]|[Hh]|[Ll]og4|[Pp]ython|[Ss]wagger)\d+$).*[a-z]{2}[2-9]\d?$/,
  /\$/,
  /^_/,
  /^[a-z\d]\w*_[A-Z]\w*$/,
  // Where there is none: `class_1`, `default_1`.
  /^(?:class|default)_?\d*$/,
];

/** Whether the probe is named after its class, and no author would have given a class that name. `DbProbe`, `S3Probe` and `Http2Probe` are honest. */
export function hasGeneratedName({ metadata, probeClass }: Candidate): boolean {
  return metadata.options.name === undefined && GENERATED.some((pattern) => pattern.test(classNameOf(probeClass)));
}
