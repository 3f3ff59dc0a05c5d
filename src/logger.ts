import { ConfigurationError, toOneLine } from './errors.js';
import { listed } from './validation.js';

/** Where the library writes its lines: pino, winston and the console fit as they are. */
export interface ProbeLogger {
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

/** Writes to the console's standard error, so that the standard output of a command stays its own. */
const say = (message: string): void => console.error(message);

const consoleLogger: ProbeLogger = { info: say, warn: say, error: say };

const ignore = (): void => {};

const silentLogger: ProbeLogger = { info: ignore, warn: ignore, error: ignore };

const LEVELS = ['info', 'warn', 'error'] as const;

/** The logger of one registry: marks its lines, and a logger that throws does not fail a probe. */
export function resolveLogger(logger: ProbeLogger | false | undefined): ProbeLogger {
  if (logger === false) return silentLogger;
  const target = logger ?? consoleLogger;
  for (const level of LEVELS) {
    if (typeof target[level] === 'function') continue;
    throw new ConfigurationError(
      `Expected \`logger\` of the registry to have the methods ${listed(LEVELS)}, but it has no \`${level}\`. Give it pino, the console or \`false\`.`,
    );
  }
  const write = (level: keyof ProbeLogger) => (message: string) => {
    try {
      // One that writes to the network may return a promise.
      Promise.resolve(target[level](`koa-probes: ${toOneLine(message)}`)).catch(ignore);
    } catch {
      // There is nowhere left to say it.
    }
  };
  return { info: write('info'), warn: write('warn'), error: write('error') };
}
