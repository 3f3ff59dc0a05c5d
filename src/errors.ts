const CONFIGURATION_ERROR = Symbol.for('koa-probes.ConfigurationError');
const NOT_READY = Symbol.for('koa-probes.NotReady');
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
   * HTTP status of the answer where this is the only failing check, 400 to 599.
   * @default 503
   */
  status?: number | undefined;
}

/**
 * Thrown by a check to fail with a reason that the public may read. The message is shown as it is, in one line;
 * the message of any other error goes to the log alone.
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
    super(message, options);
    this.status = status;
    tag(this, NOT_READY);
  }

  /** Whether `value` is a `NotReady`, also one from another installed copy of the package. */
  static is(this: void, value: unknown): value is NotReady {
    return isTagged(value, NOT_READY);
  }
}

/** A check that did not answer in time. It is the abort reason of the check's signal too. */
export class ProbeTimeoutError extends Error {
  override readonly name = 'ProbeTimeoutError';
  readonly code = 'ERR_PROBES_TIMEOUT';

  constructor(message: string) {
    super(message);
    tag(this, PROBE_TIMEOUT_ERROR);
  }

  /** Whether `value` is a `ProbeTimeoutError`, also one from another installed copy of the package. */
  static is(this: void, value: unknown): value is ProbeTimeoutError {
    return isTagged(value, PROBE_TIMEOUT_ERROR);
  }
}

/** The longest text of an error that a line of the log or of an answer holds, in characters. */
const LONGEST_DESCRIPTION = 1_000;

/** `error` in one line for the operator: its message and those of its causes. Never throws, whatever was thrown. */
export function describeError(error: unknown): string {
  try {
    return toOneLine(describe(error, 0)).slice(0, LONGEST_DESCRIPTION);
  } catch {
    return 'an error that cannot be described';
  }
}

/** `text` without line breaks and control characters, so that it cannot forge a line of a log or an answer. */
export function toOneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, ' ').trim();
}

const DEEPEST_CAUSE = 5;

function describe(error: unknown, depth: number): string {
  if (!(error instanceof Error)) return typeof error === 'string' ? error : `${String(error)} was thrown`;
  const text = error.message || describeWithoutMessage(error, depth);
  if (error.cause === undefined || depth === DEEPEST_CAUSE) return text;
  return `${text}: ${describe(error.cause, depth + 1)}`;
}

/** Node reports a refused connection to a name with several addresses as an `AggregateError` without a message. */
function describeWithoutMessage(error: Error & { code?: unknown }, depth: number): string {
  if (!(error instanceof AggregateError) || depth === DEEPEST_CAUSE) return typeof error.code === 'string' ? error.code : error.name;
  return error.errors.map((one) => describe(one, depth + 1)).join(', ');
}

function tag(error: Error, symbol: symbol): void {
  Object.defineProperty(error, symbol, { value: true });
}

function isTagged(value: unknown, symbol: symbol): boolean {
  return typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[symbol] === true;
}
