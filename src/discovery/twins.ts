import { ConfigurationError } from '../errors.js';
import { show } from '../validation.js';
import type { ProbeMetadata } from './metadata.js';
import { describeClass, hasGeneratedName, type Candidate } from './names.js';

/** Fails for two probes of one name, and says how there come to be two: each way has a cure of its own. */
export function rejectTwins(candidates: readonly Candidate[]): void {
  const seen = new Map<string, Candidate>();
  for (const candidate of candidates) {
    const twin = seen.get(candidate.name);
    if (twin !== undefined) throw new ConfigurationError(explain(twin, candidate));
    seen.set(candidate.name, candidate);
  }
}

function explain(one: Candidate, other: Candidate): string {
  const [first, second] = [readPlace(one.metadata), readPlace(other.metadata)];
  const className = describeClass(one.probeClass);
  const isOneName = className === describeClass(other.probeClass);
  if (isOneName && first.copy !== second.copy) {
    return (
      `Two installed copies of koa-probes have each decorated a class ${className}, and both are named ${show(one.name)}. The copies are ${first.copy ?? 'unknown'} and ${second.copy ?? 'unknown'}. ` +
      'Run `npm ls koa-probes` and make the versions agree, so that one copy is left, or list the classes to use in `classes`.'
    );
  }
  if (isOneName && isSamePlace(first, second, one, other)) {
    return (
      `The class ${className} was evaluated twice, and both are named ${show(one.name)}${at(first)}: its module was loaded again (hot reload, \`vi.resetModules()\`, \`jest.resetModules()\` or a cleared module cache). ` +
      'Call `resetProbes()` of koa-probes/testing before the module is loaded again, or list the classes to use in `classes`.'
    );
  }
  const isGenerated = [one, other].some(hasGeneratedName);
  return [
    `${className} and ${describeClass(other.probeClass)} are both named ${show(one.name)}.`,
    "Give one of them a name of its own: `@ReadinessProbe({ name: '…' })`, or list the classes to use in `classes`.",
    ...(isGenerated ? ['A minifier has made such class names up: keep them in the build (`keepNames: true` in esbuild).'] : []),
    `They are two classes, decorated${at(first)} and${at(second)}.`,
  ].join(' ');
}

interface Place {
  /** Where the decorator stands: another one in each copy of the package, also within one bundle. */
  readonly copy: string | undefined;
  /** Where it was applied, and what led there. */
  readonly frames: readonly string[];
  /** The first of them that is not a helper of a compiler. */
  readonly shown: string | undefined;
}

/** The functions by which compilers apply decorators. */
const HELPERS = /^\s*at (?:async )?(?:\S+\.)?(?:_*decorate\w*|_*ts_decorate|_*esDecorate|DecorateConstructor|_?applyDecs\w*)\b/i;

function readPlace({ decoratedAt }: ProbeMetadata): Place {
  const { stack } = decoratedAt as { stack?: unknown };
  const lines = typeof stack === 'string' ? stack.split('\n').filter((line) => /^\s*at /.test(line)) : [];
  const frames = lines.slice(1);
  const shown = frames.find((line) => !HELPERS.test(line)) ?? frames[0];
  return { copy: lines[0] && locationOf(lines[0]), frames: frames.map(locationOf), shown: shown && locationOf(shown) };
}

function locationOf(frame: string): string {
  return (/\(([^()]+)\)\s*$/.exec(frame)?.[1] ?? frame.replace(/^\s*at (?:async )?/, '')).trim();
}

/** How many frames are compared: the helper of a compiler can stand between the decorator and the module. */
const FRAMES = 3;

/** A development server loads a module again under another query. Without a stack, the same source is taken for the same class. */
function isSamePlace(first: Place, second: Place, one: Candidate, other: Candidate): boolean {
  const [before, after] = [first, second].map(({ frames }) => frames.slice(0, FRAMES).map((frame) => frame.replace(/\?[^:]*/, '')));
  if (before!.length === 0) return String(one.probeClass) === String(other.probeClass);
  return before!.join('\n') === after!.join('\n');
}

function at({ shown }: Place): string {
  return ` at ${shown ?? 'an unknown place'}`;
}
