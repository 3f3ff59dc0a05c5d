import { types } from 'node:util';

const CONFIGURATION_ERROR = Symbol.for('koa-probes.ConfigurationError');
const NOT_READY = Symbol.for('koa-probes.NotReady');
const DEGRADED = Symbol.for('koa-probes.Degraded');
const PROBE_TIMEOUT_ERROR = Symbol.for('koa-probes.ProbeTimeoutError');

/** A mistake in the configuration. It is thrown when the application starts. The message says what is wrong and how to fix it. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
  readonly code = 'ERR_PROBES_CONFIGURATION';

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    tag(this, CONFIGURATION_ERROR);
  }

  /** Returns whether `value` is a `ConfigurationError`. An error from another installed copy of the package counts too. */
  static is(this: void, value: unknown): value is ConfigurationError {
    return isTagged(value, CONFIGURATION_ERROR);
  }
}

export interface NotReadyOptions extends ErrorOptions {
  /**
   * HTTP status of the response if this is the only check that fails. A whole number from 400 to 599.
   * @default 503
   */
  status?: number | undefined;
}

/**
 * Throw this from a check to fail it with a reason that the public may read. The message is shown in one line of at most 1,000 characters.
 * The `cause` goes to the log only, and so does the message of any other error.
 *
 * @throws RangeError if `status` is not a whole number from 400 to 599. The kubelet treats every status below 400 as a success.
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

  /** Returns whether `value` is a `NotReady`. An error from another installed copy of the package counts too. */
  static is(this: void, value: unknown): value is NotReady {
    return isTagged(value, NOT_READY);
  }
}

/**
 * Throw this from a check if the dependency works, but not as well as it should. The result is `warn`, the HTTP status stays 200, and the reason is shown, logged and counted.
 * A degraded run is neither a failure nor a full pass: it leaves the count of failures as it is, and it counts towards `successThreshold`.
 * The message is shown to the public in one line of at most 1,000 characters. The `cause` goes to the log only.
 */
export class Degraded extends Error {
  override readonly name = 'Degraded';
  readonly code = 'ERR_PROBES_DEGRADED';

  constructor(message: string, options?: ErrorOptions) {
    super(messageOr('degraded', message), options);
    tag(this, DEGRADED);
  }

  /** Returns whether `value` is a `Degraded`. An error from another installed copy of the package counts too. */
  static is(this: void, value: unknown): value is Degraded {
    return isTagged(value, DEGRADED);
  }
}

/** A check exceeded its timeout. This error is also the abort reason of the check's signal. */
export class ProbeTimeoutError extends Error {
  override readonly name = 'ProbeTimeoutError';
  readonly code = 'ERR_PROBES_TIMEOUT';

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    // A captured stack would keep the receivers of its frames in memory: the immediates of all requests that ended in the same turn.
    this.stack = `${this.name}: ${message}`;
    tag(this, PROBE_TIMEOUT_ERROR);
  }

  /** Returns whether `value` is a `ProbeTimeoutError`. An error from another installed copy of the package counts too. */
  static is(this: void, value: unknown): value is ProbeTimeoutError {
    return isTagged(value, PROBE_TIMEOUT_ERROR);
  }
}

/** Limits of one description: characters in total, and messages that are joined. An error that contains thousands of others, or itself, must not block the event loop. */
const LONGEST_DESCRIPTION = 1_000;
const MOST_PARTS = 5;
/** An `AggregateError` without a message adds nothing to a description, but it can contain more of them. This limits how many errors are visited. */
const MOST_VISITS = 30;

/** Describes `error` in one line for the operator: its message, and the messages of its causes and parts. It never throws, even if the thrown value is hostile. */
export function describeError(error: unknown): string {
  const parts: string[] = [];
  try {
    collectParts(error, parts, new Set());
    if (parts.length === 0) parts.push(cut(isError(error) ? error.name : 'an error without a message'));
  } catch {
    parts.push('an error that cannot be described');
  }
  return parts.join(': ').slice(0, LONGEST_DESCRIPTION);
}

/** A `ConfigurationError` that was caused by the error of another library. The message quotes that error. The stack does not, because Node prints the cause below it. */
export function becauseOf(message: string, error: unknown, link = ' It said: '): ConfigurationError {
  const quoting = `${message}${link}${describeError(error)}`;
  if (ConfigurationError.is(error)) return new ConfigurationError(quoting);
  const own = new ConfigurationError(message, { cause: error });
  // Node formats the stack when it is first read. Read it here, while the message does not quote the cause.
  void own.stack;
  own.message = quoting;
  return own;
}

/** Most properties that a copy takes over from an error, without the message and the stack. */
const MOST_ENTRIES = 20;
const LONGEST_STACK = 10_000;
const DEEPEST_CAUSE = 5;

/** A copy of an error for JSON. */
export interface ErrorCopy {
  readonly type: string;
  readonly message: string;
  readonly stack?: string | undefined;
  readonly cause?: ErrorCopy | undefined;
  /** The errors of an `AggregateError`. */
  readonly aggregateErrors?: readonly ErrorCopy[] | undefined;
  /** The error's strings, numbers and booleans, `code` for example. */
  readonly [entry: string]: unknown;
}

/** Copies `error` to a plain object that `JSON.stringify` keeps, in the shape that pino uses, with causes and parts. The size is bounded. It never throws, even if the thrown value is hostile. */
export function copyError(error: unknown, depth = 0): ErrorCopy {
  try {
    return copyOrThrow(error, depth);
  } catch {
    return { type: 'unknown', message: describeError(error) };
  }
}

/** Characters that a reader does not see: zero-width characters, bidirectional control characters and tags. */
const INVISIBLE = /[\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;
const CONTROL = /[\p{Cc}\p{Zl}\p{Zp}\s]+/gu;

/** Removes line breaks, control characters and invisible characters from `text`, so that it cannot forge a line in a log or a response. */
export function toOneLine(text: string): string {
  return text.replace(CONTROL, ' ').replace(INVISIBLE, '').trim();
}

/** Escapes the invisible characters in a string of JSON. */
export function escapeInvisible(json: string): string {
  return json.replace(/[\u007f-\u009f\u2028\u2029]/g, escapeUnits).replace(INVISIBLE, escapeUnits);
}

function escapeUnits(character: string): string {
  return Array.from({ length: character.length }, (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`).join('');
}

/** Recognizes errors of another realm too. */
export function isError(value: unknown): value is Error {
  try {
    return types.isNativeError(value) || value instanceof Error;
  } catch {
    // `value` is a proxy whose prototype cannot be read.
    return false;
  }
}

function copyOrThrow(error: unknown, depth: number): ErrorCopy {
  if (typeof error !== 'object' || error === null) return { type: typeof error, message: cut(describeThrown(error)) };
  const { constructor, message, stack, cause, errors } = error as Partial<Error & { errors: unknown }>;
  const isDeeper = depth < DEEPEST_CAUSE;
  return {
    ...copyEntries(error as Readonly<Record<string, unknown>>),
    type: typeof constructor?.name === 'string' ? constructor.name : 'object',
    message: typeof message === 'string' ? message.slice(0, LONGEST_DESCRIPTION) : describeError(error),
    ...(typeof stack === 'string' ? { stack: stack.slice(0, LONGEST_STACK) } : {}),
    ...(isDeeper && cause !== undefined ? { cause: copyError(cause, depth + 1) } : {}),
    ...(isDeeper && Array.isArray(errors) ? { aggregateErrors: errors.slice(0, MOST_PARTS).map((one) => copyError(one, depth + 1)) } : {}),
  };
}

function copyEntries(object: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const entries: Record<string, unknown> = {};
  let count = 0;
  for (const key in object) {
    count += 1;
    if (count > MOST_ENTRIES) break;
    const value = object[key];
    if (typeof value === 'string') entries[key] = value.slice(0, LONGEST_DESCRIPTION);
    else if (typeof value === 'number' || typeof value === 'boolean') entries[key] = value;
  }
  return entries;
}

function collectParts(error: unknown, parts: string[], seen: Set<unknown>): void {
  if (parts.length === MOST_PARTS || seen.size === MOST_VISITS || seen.has(error)) return;
  seen.add(error);
  if (!isError(error)) {
    parts.push(cut(describeThrown(error)));
    return;
  }
  // If a host name has several addresses and all refuse the connection, Node throws an AggregateError without a message.
  const isList = error instanceof AggregateError && !error.message;
  const text = cut(messageOf(error) || codeOf(error) || error.name);
  // A message that quotes its cause would say everything twice.
  if (!isList && !parts.some((part) => part.includes(text))) parts.push(text);
  const inner: unknown[] = isList ? error.errors : error.cause === undefined ? [] : [error.cause];
  for (const one of inner.slice(0, MOST_PARTS)) collectParts(one, parts, seen);
}

/** `String()` is never called on an object, because it would block the event loop for an array of millions. */
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

/** Replaces an empty message, because the public and the operator would read nothing. */
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
