import { parseArgs } from 'node:util';
import { ConfigurationError, describeError } from '../errors.js';
import { FORMATS, type Format } from '../kubernetes/lint/formats.js';
import { RULES } from '../kubernetes/lint/lint.js';
import { SEVERITIES, type Severity } from '../kubernetes/lint/rule.js';
import { show } from '../validation.js';

/** The parsed arguments of `koa-probes lint`. */
export interface LintRequest {
  /** `-` is the standard input. */
  readonly files: readonly string[];
  readonly module: string | undefined;
  readonly container: string | undefined;
  readonly severities: Readonly<Partial<Record<string, Severity>>>;
  readonly format: Format;
  readonly isFix: boolean;
  readonly timeoutMs: number;
}

const DEFAULT_TIMEOUT_SECONDS = 30;
const LONGEST_SECONDS = 3_600;

const FLAGS = {
  app: { type: 'string' },
  container: { type: 'string' },
  rule: { type: 'string', multiple: true },
  format: { type: 'string' },
  fix: { type: 'boolean' },
  timeout: { type: 'string' },
} as const;

/** @throws ConfigurationError if the arguments of `koa-probes lint` are wrong */
export function readLintRequest(words: readonly string[]): LintRequest {
  const { values, positionals: files } = parse(words);
  if (files.length === 0) throw new ConfigurationError('`lint` needs files, or `-` for the standard input: `koa-probes lint k8s/*.yaml`.');
  if (values.fix === true && files.includes('-'))
    throw new ConfigurationError('--fix writes to files, so it cannot be used with the standard input. Name the files.');
  return {
    files,
    module: values.app,
    container: values.container,
    severities: Object.fromEntries((values.rule ?? []).map(readSeverity)),
    format: readFormat(values.format),
    isFix: values.fix ?? false,
    timeoutMs: readTimeout(values.timeout) * 1_000,
  };
}

function parse(words: readonly string[]) {
  try {
    return parseArgs({ args: [...words], options: FLAGS, allowPositionals: true });
  } catch (error) {
    throw new ConfigurationError(`${describeError(error)}. \`koa-probes --help\` shows the options.`, { cause: error });
  }
}

function readSeverity(given: string): [string, Severity] {
  const [name = '', severity = ''] = given.split('=');
  checkRule(name, '--rule');
  if (!SEVERITIES.includes(severity as Severity)) {
    throw new ConfigurationError(`Expected --rule ${name}= to be followed by ${SEVERITIES.join(', ')}, got ${show(severity)}.`);
  }
  return [name, severity as Severity];
}

/** @throws ConfigurationError if there is no rule with that name */
export function checkRule(name: string, where: string): void {
  if (RULES.some((rule) => rule.name === name)) return;
  throw new ConfigurationError(
    `There is no rule ${show(name)}, but ${where} names it. The rules are ${RULES.map((rule) => rule.name).join(', ')}.`,
  );
}

function readFormat(given: string | undefined): Format {
  if (given === undefined) return 'text';
  const format = FORMATS.find((one) => one === given);
  if (format === undefined) throw new ConfigurationError(`--format is ${show(given)}. Expected ${FORMATS.join(', ')}.`);
  return format;
}

function readTimeout(given: string | undefined): number {
  const seconds = Number(given ?? DEFAULT_TIMEOUT_SECONDS);
  if (Number.isInteger(seconds) && seconds >= 1 && seconds <= LONGEST_SECONDS) return seconds;
  throw new ConfigurationError(
    `Expected --timeout to be a whole number of seconds from 1 to ${String(LONGEST_SECONDS)}, got ${show(given)}.`,
  );
}
