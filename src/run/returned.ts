import { Degraded, isError } from '../errors.js';
import type { ProbeData } from '../report/report.js';

type Then = (this: unknown, resolve: (value: unknown) => void, reject: (error: unknown) => void) => unknown;

/** Converts a thenable to a promise that settles once. Returns undefined if `await` would not wait for the value. A function with a `then` method is a thenable too, because clients are often callable. */
export function adopt(value: unknown): Promise<unknown> | undefined {
  if ((typeof value !== 'object' || value === null) && typeof value !== 'function') return undefined;
  const { then } = value as { readonly then?: unknown };
  if (typeof then !== 'function') return undefined;
  return new Promise((resolve, reject) => void (then as Then).call(value, resolve, reject));
}

/** A thrown value, which may be `undefined`. */
export interface Failure {
  readonly error: unknown;
}

/** The meaning of a returned value. */
export interface Returned {
  readonly failure?: Failure;
  readonly data?: ProbeData | undefined;
}

type PlainObject = Readonly<Record<string, unknown>>;
type Entries = readonly (readonly [string, unknown])[];

/** Limits of the data. The rest is left out. */
const MOST_ENTRIES = 100;
const LONGEST_TEXT = 1_000;

/**
 * Reads the value that a check has returned. It never throws. A plain object that reports a failure is a failure, because users of other libraries return `{ ok: false }` or `{ status: 'down' }`.
 * Every other value passes, except `false` and an `Error`.
 */
export function readReturned(value: unknown): Returned {
  if (value === undefined) return {};
  if (value === false) return failWith('the check returned false');
  try {
    if (isError(value)) return { failure: { error: value } };
    if (typeof Response === 'function' && value instanceof Response && !value.ok)
      return failWith(`the check returned a Response with status ${String(value.status)}`);
    if (!isPlainObject(value)) return {};
    const entries = readEntries(value);
    const error = findVerdict(value, entries);
    return error === undefined ? { data: readData(entries) } : { failure: { error } };
  } catch (error) {
    return { failure: { error } };
  }
}

function failWith(message: string): Returned {
  return { failure: { error: new Error(message) } };
}

function isPlainObject(value: unknown): value is PlainObject {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** Reads only as many entries as are kept. The engine still lists all keys of an object at once, so an object with a million keys takes a third of a second. */
function readEntries(object: PlainObject): Entries {
  const entries: (readonly [string, unknown])[] = [];
  for (const key in object) {
    if (!Object.hasOwn(object, key)) continue;
    if (entries.length === MOST_ENTRIES) break;
    entries.push([key, object[key]]);
  }
  return entries;
}

/** Names of flags, reduced to their letters: `isHealthy` and `is_healthy` are the same. */
const FLAGS = new Set(
  'ok healthy alive up live ready passed success successful connected available online reachable serving'
    .split(' ')
    .flatMap((flag) => [flag, `is${flag}`]),
);
const STATUSES = new Set(['status', 'state', 'health', 'result', 'outcome']);
const FAILED = new Set(
  (
    'down fail failed failing failure error errored unhealthy unavailable outofservice unready offline dead crashed critical fatal broken ' +
    'disconnected unreachable unresponsive timeout timedout stopping stopped red ko nok notok notready nothealthy notserving notalive notavailable'
  ).split(' '),
);
const DEGRADED = new Set(['warn', 'warning', 'degraded']);

/** Finds a failure or a warning in the object or in one of its parts: terminus returns `{ database: { status: 'down' } }`. A failure takes precedence over a warning. */
function findVerdict(object: PlainObject, entries: Entries, path = ''): Error | undefined {
  let degraded: Error | undefined;
  for (const [key, value] of entries.length < MOST_ENTRIES ? entries : [...readSaying(object), ...entries]) {
    const isPart = path === '' && isPlainObject(value);
    const verdict = isPart ? findVerdict(value, readEntries(value), `${key}.`) : judgeEntry(path, key, value, object);
    if (Degraded.is(verdict)) degraded ??= verdict;
    else if (verdict !== undefined) return verdict;
  }
  return degraded;
}

/** Reads the flags and statuses of an object with too many entries. */
function readSaying(object: PlainObject): Entries {
  return [...FLAGS, ...STATUSES].filter((key) => Object.hasOwn(object, key)).map((key) => [key, object[key]] as const);
}

function judgeEntry(path: string, key: string, value: unknown, object: PlainObject): Error | undefined {
  const name = lettersOf(key);
  const isFlag = FLAGS.has(name);
  if (!isFlag && !STATUSES.has(name)) return undefined;
  const word = typeof value === 'string' ? lettersOf(value) : '';
  const isFailure = value === false || (isFlag ? value === 0 || value === '0' || word === 'false' || word === 'no' : FAILED.has(word));
  const isDegraded = !isFlag && DEGRADED.has(word);
  if (!isFailure && !isDegraded) return undefined;
  const said = `the check returned { ${path}${key}: ${typeof value === 'string' ? JSON.stringify(shorten(value)) : String(value)} }`;
  const message = ['message', 'reason', 'error', 'output', 'detail']
    .map((one) => object[one])
    .find((text): text is string => typeof text === 'string');
  // The message goes into the cause, because the check has not written it for the public.
  const options = message === undefined ? undefined : { cause: new Error(shorten(message)) };
  return isFailure ? new Error(said, options) : new Degraded(said, options);
}

/** Reduces a text to its letters, so that `OUT_OF_SERVICE`, `out-of-service` and `OutOfService` are the same. */
function lettersOf(text: string): string {
  return text
    .slice(0, LONGEST_TEXT)
    .toLowerCase()
    .replace(/[^a-z]/g, '');
}

/** Returns the strings, numbers and booleans. */
function readData(entries: Entries): ProbeData | undefined {
  const data: Record<string, string | number | boolean> = {};
  for (const [key, value] of entries) {
    if (typeof value === 'string') data[shorten(key)] = shorten(value);
    else if (typeof value === 'boolean' || Number.isFinite(value)) data[shorten(key)] = value as number | boolean;
  }
  return Object.keys(data).length === 0 ? undefined : data;
}

function shorten(text: string): string {
  return text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text;
}
