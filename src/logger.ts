import { copyError, ConfigurationError, isError, toOneLine } from './errors.js';
import { listed } from './validation.js';

/**
 * The destination of the library's log lines. A pino or winston logger also receives the structured fields of each line, in the form that it expects.
 * Any other logger, the console for example, receives one line of text.
 */
export interface ProbeLogger {
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

/** The structured fields of a log line. */
export interface LogFields {
  readonly probe?: string | undefined;
  readonly kinds?: readonly string[] | undefined;
  readonly status?: string | undefined;
  /** The status before the change. */
  readonly previous?: string | undefined;
  readonly reason?: string | undefined;
  /** How long the run took. */
  readonly durationMs?: number | undefined;
  /** Time since the probe last passed. */
  readonly downMs?: number | undefined;
  /** Runs that failed since the probe last passed. */
  readonly failedRuns?: number | undefined;
  /** Where the event loop was blocked. */
  readonly stack?: string | undefined;
  /** The thrown value. */
  readonly err?: unknown;
}

/** The logger of a registry. It never throws. */
export interface FieldLogger extends ProbeLogger {
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

type Level = keyof ProbeLogger;
type Write = (level: Level, message: string, fields: LogFields) => unknown;
type LogMethod = (this: unknown, ...values: unknown[]) => unknown;

/** Writes to standard error, because the standard output of a command belongs to that command. */
const say = (message: string): void => console.error(message);

const consoleLogger: ProbeLogger = { info: say, warn: say, error: say };

const ignore = (): void => {};

const silentLogger: FieldLogger = { info: ignore, warn: ignore, error: ignore };

/** The methods of each level. Winston's syslog levels call `warn` `warning`. */
const METHODS: Readonly<Record<Level, readonly string[]>> = { info: ['info'], warn: ['warn', 'warning'], error: ['error'] };

/** Returns the logger of one registry. It puts `koa-probes: ` in front of each line, and it never throws: a broken logger must not fail a probe. */
export function resolveLogger(logger: ProbeLogger | false | undefined): FieldLogger {
  if (logger === false) return silentLogger;
  const write = chooseWrite(logger ?? consoleLogger);
  const writeSafely = (level: Level) => {
    return (message: string, fields: LogFields = {}) => {
      const line = `koa-probes: ${cleanLines(message)}`;
      try {
        tryTo(() => write(level, line, withoutUndefined(fields)));
      } catch {
        // Perhaps a serializer cannot read the error, because the error is frozen or one of its getters throws.
        try {
          tryTo(() => write(level, line, withoutUndefined({ ...fields, err: copyError(fields.err) })));
        } catch {
          // No other destination is left.
        }
      }
    };
  };
  return { info: writeSafely('info'), warn: writeSafely('warn'), error: writeSafely('error') };
}

/** Whether the application wants no lines. */
export function isSilent(logger: FieldLogger): boolean {
  return logger === silentLogger;
}

/** Keeps the line breaks of a stack. Text from a check has none, because `describeError` has put it into one line. */
function cleanLines(message: string): string {
  const clean = (line: string) => `${/^ */.exec(line)?.[0] ?? ''}${toOneLine(line)}`;
  return message.split('\n').map(clean).join('\n');
}

/** Handles a rejection too: a logger that writes to the network may return a promise. */
function tryTo(write: () => unknown): void {
  Promise.resolve(write()).catch(ignore);
}

function chooseWrite(logger: ProbeLogger): Write {
  const target = logger as unknown as Readonly<Record<string, unknown>>;
  const methods = findMethods(target);
  const call = (level: Level, ...values: unknown[]) => methods[level].apply(logger, values);
  if (isPino(target)) return (level, message, fields) => call(level, { ...fields, ...errOf(fields, isError(fields.err)) }, message);
  // Winston gets one object, because it drops the fields if they follow a message that contains `%s`. It gets a copy of the error, because its formats write an error as `{}`.
  if (isWinston(target)) return (level, message, fields) => call(level, { ...fields, ...errOf(fields, false), message });
  return (level, message) => call(level, message);
}

function findMethods(target: Readonly<Record<string, unknown>>): Record<Level, LogMethod> {
  const find = (level: Level): LogMethod => {
    const name = METHODS[level].find((method) => typeof target[method] === 'function');
    if (name !== undefined) return target[name] as LogMethod;
    throw new ConfigurationError(
      `Expected \`logger\` of the registry to have the methods ${listed(Object.keys(METHODS))}, but it has no \`${level}\`. Pass a pino logger, a winston logger, the console, or \`false\` for no log.`,
    );
  };
  return { info: find('info'), warn: find('warn'), error: find('error') };
}

function isPino({ child, bindings, isLevelEnabled }: Readonly<Record<string, unknown>>): boolean {
  return [child, bindings, isLevelEnabled].every((method) => typeof method === 'function');
}

/** Accepts a winston logger, and the winston module itself, which contains a default logger. */
function isWinston({ log, add, configure, transports }: Readonly<Record<string, unknown>>): boolean {
  return [log, add, configure].every((method) => typeof method === 'function') && typeof transports === 'object';
}

function errOf({ err }: LogFields, isWhole: boolean): LogFields {
  return err === undefined ? {} : { err: isWhole ? err : copyError(err) };
}

function withoutUndefined(fields: LogFields): LogFields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
