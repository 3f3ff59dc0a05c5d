import { types } from 'node:util';

const CONFIGURATION_ERROR = Symbol.for('koa-probes.ConfigurationError');
const NOT_READY = Symbol.for('koa-probes.NotReady');
const DEGRADED = Symbol.for('koa-probes.Degraded');
const PROBE_TIMEOUT_ERROR = Symbol.for('koa-probes.ProbeTimeoutError');

/** A mistake in how the library is set up. It is thrown at start, and its message names the subject, the fact and the cure. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
  readonly code = 'ERR_PROBES_CONFIGURATION';

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    tag(this, CONFIGURATION_ERROR);
  }

  /** Whether `value` is a `ConfigurationError`, also one from another installed copy of the package. */
  static is(this: void, value: unknown): value is ConfigurationError {
    return isTagged(value, CONFIGURATION_ERROR);
  }
}

export interface NotReadyOptions extends ErrorOptions {
  /**
   * HTTP status of the answer if this is the only failing check, 400 to 599.
   * @default 503
   */
  status?: number | undefined;
}

/**
 * Thrown by a check to fail with a reason that the public may read. The message is shown in one line of at most 1,000 characters;
 * its cause, and the message of any other error, go to the log alone.
 *
 * @throws RangeError where `status` is not a whole number from 400 to 599: the kubelet takes all below 400 for a success.
 */
export class NotReady extends Error {
  override readonly name = 'NotReady';
  readonly code = 'ERR_PROBES_NOT_READY';
  readonly status: number;

  constructor(message: string, { status = 503, ...options }: NotReadyOptions = {}) {
    if (!Number.isInteger(status) || status < 400 || status > 599) {
      throw new RangeError(`Expected \`status\` of NotReady to be a whole number from 400 to 599, got \`${String(status)}\`.`);
    }
    super(messageOr('not ready', message), options);
    this.status = status;
    tag(this, NOT_READY);
  }

  /** Whether `value` is a `NotReady`, also one from another installed copy of the package. */
  static is(this: void, value: unknown): value is NotReady {
    return isTagged(value, NOT_READY);
  }
}

/**
 * Thrown by a check that works, but not as it should: the result is `warn`, the answer stays 200, and the reason is shown, logged and counted.
 * It is neither a failure nor a full pass: it starts no new count of failures, and it counts towards `successThreshold`.
 * The message is shown to the public in one line of at most 1,000 characters; its cause goes to the log alone.
 */
export class Degraded extends Error {
  override readonly name = 'Degraded';
  readonly code = 'ERR_PROBES_DEGRADED';

  constructor(message: string, options?: ErrorOptions) {
    super(messageOr('degraded', message), options);
    tag(this, DEGRADED);
  }

  /** Whether `value` is a `Degraded`, also one from another installed copy of the package. */
  static is(this: void, value: unknown): value is Degraded {
    return isTagged(value, DEGRADED);
  }
}

/** A check that did not answer in time. It is the abort reason of the check's signal too. */
export class ProbeTimeoutError extends Error {
  override readonly name = 'ProbeTimeoutError';
  readonly code = 'ERR_PROBES_TIMEOUT';

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    // Its frames would keep alive what they were called on: the immediates of all requests that ended in the same turn.
    this.stack = `${this.name}: ${message}`;
    tag(this, PROBE_TIMEOUT_ERROR);
  }

  /** Whether `value` is a `ProbeTimeoutError`, also one from another installed copy of the package. */
  static is(this: void, value: unknown): value is ProbeTimeoutError {
    return isTagged(value, PROBE_TIMEOUT_ERROR);
  }
}

/** How much of an error a line of the log holds: characters in all, and errors told of. One that holds thousands, or itself, must not block the event loop. */
const LONGEST_DESCRIPTION = 1_000;
const MOST_PARTS = 5;
/** Lists without a message of their own say nothing, and may hold more of their kind. */
const MOST_VISITS = 30;

/** `error` in one line for the operator: its message and those of its causes and parts. Never throws, whatever was thrown. */
export function describeError(error: unknown): string {
  const parts: string[] = [];
  try {
    collectParts(error, parts, new Set());
    if (parts.length === 0) parts.push(cut(isError(error) ? error.name : 'an error that says nothing'));
  } catch {
    parts.push('an error that cannot be described');
  }
  return parts.join(': ').slice(0, LONGEST_DESCRIPTION);
}

/** A mistake that an error of somebody else's has shown. Its message quotes that error; its stack does not, as Node prints the cause below it. */
export function becauseOf(message: string, error: unknown, link = ' It said: '): ConfigurationError {
  const quoting = `${message}${link}${describeError(error)}`;
  if (ConfigurationError.is(error)) return new ConfigurationError(quoting);
  const own = new ConfigurationError(message, { cause: error });
  // Node formats the stack when it is first read.
  void own.stack;
  own.message = quoting;
  return own;
}

/** Zero-width characters, marks that turn the direction of a text, and tags: a reader does not see them. */
const INVISIBLE = /[\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;
const CONTROL = /[\p{Cc}\p{Zl}\p{Zp}\s]+/gu;

/** `text` without line breaks, control characters and characters that a reader does not see, so that it cannot forge a line of a log or an answer. */
export function toOneLine(text: string): string {
  return text.replace(CONTROL, ' ').replace(INVISIBLE, '').trim();
}

/** A string of JSON in which characters that a reader does not see are escaped. */
export function escapeInvisible(json: string): string {
  return json.replace(/[\u007f-\u009f\u2028\u2029]/g, escapeUnits).replace(INVISIBLE, escapeUnits);
}

function escapeUnits(character: string): string {
  return Array.from({ length: character.length }, (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`).join('');
}

/** Errors of another realm too. */
export function isError(value: unknown): value is Error {
  try {
    return types.isNativeError(value) || value instanceof Error;
  } catch {
    // A proxy whose prototype cannot be read.
    return false;
  }
}

function collectParts(error: unknown, parts: string[], seen: Set<unknown>): void {
  if (parts.length === MOST_PARTS || seen.size === MOST_VISITS || seen.has(error)) return;
  seen.add(error);
  if (!isError(error)) {
    parts.push(cut(describeThrown(error)));
    return;
  }
  // Node reports a refused connection to a name with several addresses as an AggregateError without a message.
  const isList = error instanceof AggregateError && !error.message;
  const text = cut(messageOf(error) || codeOf(error) || error.name);
  // A message can quote its cause.
  if (!isList && !parts.some((part) => part.includes(text))) parts.push(text);
  const inner: unknown[] = isList ? error.errors : error.cause === undefined ? [] : [error.cause];
  for (const one of inner.slice(0, MOST_PARTS)) collectParts(one, parts, seen);
}

/** Never by `String()` of an object: that of an array of millions blocks the event loop. */
function describeThrown(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'bigint') return 'a bigint was thrown';
  if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return `${String(value)} was thrown`;
  const { message, constructor } = value as { readonly message?: unknown; readonly constructor?: { readonly name?: unknown } };
  if (typeof message === 'string' && message !== '') return message;
  return `${typeof constructor?.name === 'string' ? constructor.name : 'an object'} was thrown`;
}

function messageOf({ message }: Error): string {
  return typeof message === 'string' ? message : describeThrown(message);
}

function codeOf(error: Error & { code?: unknown }): string {
  return typeof error.code === 'string' ? error.code : '';
}

function cut(text: string): string {
  return toOneLine(text.slice(0, LONGEST_DESCRIPTION));
}

/** Without a message the public, or the operator, would read nothing. */
function messageOr(blank: string, message: unknown): string {
  return typeof message === 'string' && toOneLine(message.slice(0, LONGEST_DESCRIPTION)) !== '' ? message : blank;
}

function tag(error: Error, symbol: symbol): void {
  Object.defineProperty(error, symbol, { value: true });
}

function isTagged(value: unknown, symbol: symbol): boolean {
  try {
    return typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[symbol] === true;
  } catch {
    return false;
  }
}
