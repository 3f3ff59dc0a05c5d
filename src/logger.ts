import { copyError, ConfigurationError, isError, toOneLine } from './errors.js';
import { listed } from './validation.js';

/** Where the library writes its lines. A logger of pino or winston gets the fields of each line too, as these loggers take them; any other logger, the console for example, gets one line of text. */
export interface ProbeLogger {
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

/** What a line says, for programs. */
export interface LogFields {
  readonly probe?: string | undefined;
  readonly kinds?: readonly string[] | undefined;
  readonly status?: string | undefined;
  /** The status before. */
  readonly previous?: string | undefined;
  readonly reason?: string | undefined;
  /** Time that the run took. */
  readonly durationMs?: number | undefined;
  /** Time since the probe last passed. */
  readonly downMs?: number | undefined;
  /** Runs that failed since the probe last passed. */
  readonly failedRuns?: number | undefined;
  /** Where the event loop was blocked. */
  readonly stack?: string | undefined;
  /** What was thrown. */
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

/** Writes to the console's standard error, so that the standard output of a command stays its own. */
const say = (message: string): void => console.error(message);

const consoleLogger: ProbeLogger = { info: say, warn: say, error: say };

const ignore = (): void => {};

const silentLogger: FieldLogger = { info: ignore, warn: ignore, error: ignore };

/** Method by level. The syslog levels of winston have another name for one of them. */
const METHODS: Readonly<Record<Level, readonly string[]>> = { info: ['info'], warn: ['warn', 'warning'], error: ['error'] };

/** The logger of one registry: marks its lines, and a logger that throws does not fail a probe. */
export function resolveLogger(logger: ProbeLogger | false | undefined): FieldLogger {
  if (logger === false) return silentLogger;
  const write = chooseWrite(logger ?? consoleLogger);
  const writeSafely = (level: Level) => {
    return (message: string, fields: LogFields = {}) => {
      const line = `koa-probes: ${cleanLines(message)}`;
      try {
        tryTo(() => write(level, line, withoutUndefined(fields)));
      } catch {
        // A serializer cannot read the error, perhaps: a frozen error, or a getter that throws.
        try {
          tryTo(() => write(level, line, withoutUndefined({ ...fields, err: copyError(fields.err) })));
        } catch {
          // There is nowhere left to say it.
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

/** A stack has lines of its own. What comes from a check has none: `describeError` has made one line of it. */
function cleanLines(message: string): string {
  const clean = (line: string) => `${/^ */.exec(line)?.[0] ?? ''}${toOneLine(line)}`;
  return message.split('\n').map(clean).join('\n');
}

/** A logger that writes to the network may return a promise. */
function tryTo(write: () => unknown): void {
  Promise.resolve(write()).catch(ignore);
}

function chooseWrite(logger: ProbeLogger): Write {
  const target = logger as unknown as Readonly<Record<string, unknown>>;
  const methods = findMethods(target);
  const call = (level: Level, ...values: unknown[]) => methods[level].apply(logger, values);
  if (isPino(target)) return (level, message, fields) => call(level, { ...fields, ...errOf(fields, isError(fields.err)) }, message);
  // As one object: beside a message that has a `%s` in it, winston drops the fields. Its formats write an error as `{}`.
  if (isWinston(target)) return (level, message, fields) => call(level, { ...fields, ...errOf(fields, false), message });
  return (level, message) => call(level, message);
}

function findMethods(target: Readonly<Record<string, unknown>>): Record<Level, LogMethod> {
  const find = (level: Level): LogMethod => {
    const name = METHODS[level].find((method) => typeof target[method] === 'function');
    if (name !== undefined) return target[name] as LogMethod;
    throw new ConfigurationError(
      `Expected \`logger\` of the registry to have the methods ${listed(Object.keys(METHODS))}, but it has no \`${level}\`. Give it pino, winston, the console or \`false\`.`,
    );
  };
  return { info: find('info'), warn: find('warn'), error: find('error') };
}

function isPino({ child, bindings, isLevelEnabled }: Readonly<Record<string, unknown>>): boolean {
  return [child, bindings, isLevelEnabled].every((method) => typeof method === 'function');
}

/** A logger of winston, or the module itself, which has a logger of its own. */
function isWinston({ log, add, configure, transports }: Readonly<Record<string, unknown>>): boolean {
  return [log, add, configure].every((method) => typeof method === 'function') && typeof transports === 'object';
}

function errOf({ err }: LogFields, isWhole: boolean): LogFields {
  return err === undefined ? {} : { err: isWhole ? err : copyError(err) };
}

function withoutUndefined(fields: LogFields): LogFields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
