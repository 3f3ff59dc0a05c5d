import { Degraded, isError } from '../errors.js';
import type { ProbeData } from '../report/report.js';

type Then = (this: unknown, resolve: (value: unknown) => void, reject: (error: unknown) => void) => unknown;

/** What `await` would wait for, as a promise that calls back once; undefined if that is nothing. A function with a `then` counts too, for clients are often callable. */
export function adopt(value: unknown): Promise<unknown> | undefined {
  if ((typeof value !== 'object' || value === null) && typeof value !== 'function') return undefined;
  const { then } = value as { readonly then?: unknown };
  if (typeof then !== 'function') return undefined;
  return new Promise((resolve, reject) => void (then as Then).call(value, resolve, reject));
}

/** Data beyond this is left out. */
const MOST_ENTRIES = 100;
const LONGEST_TEXT = 1_000;

/**
 * What a check says by what it returns: an error if it fails, else its data.
 * A plain object that says that it failed does so: people who come from other libraries return `{ ok: false }` and `{ status: 'down' }`. Anything else passes.
 */
export function readReturned(value: unknown): ProbeData | Error | undefined {
  if (value === undefined) return undefined;
  if (value === false) return new Error('the check returned false');
  try {
    if (isError(value)) return value;
    if (!isPlainObject(value)) return undefined;
    return readVerdict(value) ?? readData(value);
  } catch (error) {
    return isError(error) ? error : new Error('the check returned an object that cannot be read', { cause: error });
  }
}

function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** No more of them than are kept: one that has millions must not block the event loop. */
function* readEntries(object: Readonly<Record<string, unknown>>): Generator<readonly [string, unknown]> {
  let count = 0;
  for (const key in object) {
    if (!Object.hasOwn(object, key)) continue;
    count += 1;
    if (count > MOST_ENTRIES) return;
    yield [key, object[key]];
  }
}

const FLAGS = new Set(
  [
    'ok',
    'healthy',
    'alive',
    'up',
    'live',
    'ready',
    'passed',
    'success',
    'successful',
    'connected',
    'available',
    'online',
    'reachable',
  ].flatMap((flag) => [flag, `is${flag}`]),
);
const STATUSES = new Set(['status', 'state', 'health', 'result', 'outcome']);
const FAILED = new Set(
  'down fail failed failing failure error errored unhealthy unavailable outofservice notready unready notok nok ko offline dead critical fatal broken disconnected stopping stopped red'.split(
    ' ',
  ),
);
const DEGRADED = new Set(['warn', 'warning', 'degraded']);

/** By itself, or by one of its parts: terminus returns `{ database: { status: 'down' } }`. */
function readVerdict(object: Readonly<Record<string, unknown>>): Error | undefined {
  let degraded: Error | undefined;
  for (const [key, value] of readEntries(object)) {
    const verdict = judgeEntry(key, value, object) ?? (isPlainObject(value) ? judgePart(key, value) : undefined);
    if (Degraded.is(verdict)) degraded = verdict;
    else if (verdict !== undefined) return verdict;
  }
  return degraded;
}

function judgePart(name: string, part: Readonly<Record<string, unknown>>): Error | undefined {
  for (const [key, value] of readEntries(part)) {
    const verdict = judgeEntry(key, value, part, `${name}.`);
    if (verdict !== undefined) return verdict;
  }
  return undefined;
}

function judgeEntry(key: string, value: unknown, object: Readonly<Record<string, unknown>>, path = ''): Error | undefined {
  const name = key.toLowerCase();
  const word =
    typeof value === 'string' && STATUSES.has(name)
      ? value
          .slice(0, LONGEST_TEXT)
          .toLowerCase()
          .replace(/[^a-z]/g, '')
      : undefined;
  const isFailure = (value === false && (FLAGS.has(name) || STATUSES.has(name))) || (name === 'ok' && value === 0);
  if (!isFailure && !FAILED.has(word ?? '') && !DEGRADED.has(word ?? '')) return undefined;
  const message = ['message', 'reason', 'error', 'output', 'detail']
    .map((one) => object[one])
    .find((text): text is string => typeof text === 'string');
  const said = `the check returned { ${path}${key}: ${JSON.stringify(value)} }${message === undefined ? '' : `: ${message}`}`;
  return DEGRADED.has(word ?? '') ? new Degraded(said) : new Error(said);
}

/** The strings, numbers and booleans. */
function readData(object: Readonly<Record<string, unknown>>): ProbeData | undefined {
  const data: Record<string, string | number | boolean> = {};
  for (const [key, value] of readEntries(object)) {
    const name = key.length > LONGEST_TEXT ? shorten(key) : key;
    if (typeof value === 'string') data[name] = shorten(value);
    else if (typeof value === 'boolean' || Number.isFinite(value)) data[name] = value as number | boolean;
  }
  return Object.keys(data).length === 0 ? undefined : data;
}

function shorten(text: string): string {
  return text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text;
}
