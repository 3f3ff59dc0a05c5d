import { ConfigurationError, escapeInvisible } from './errors.js';

/** One hour. Nothing that a probe waits for takes longer, and Node's timers overflow at 24.8 days. */
const LONGEST_MS = 3_600_000;

/** Accepts fractions of a millisecond. `subject` is what the message calls the owner of the option. */
export function checkMilliseconds(subject: string, option: string, value: unknown): void {
  if (typeof value === 'number' && value >= 1 && value <= LONGEST_MS) return;
  throw new ConfigurationError(
    `Expected \`${option}\` of ${subject} to be a number of milliseconds from 1 to ${String(LONGEST_MS)}, got ${show(value)}.`,
  );
}

/** Checks a threshold: how many runs in a row. */
export function checkCount(subject: string, option: string, value: unknown): void {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 1_000) return;
  throw new ConfigurationError(`Expected \`${option}\` of ${subject} to be a whole number from 1 to 1000, got ${show(value)}.`);
}

/** Returns whether `name` is safe in a URL, in a line of the log and in a line of the response. `.` and `..` are not, because clients resolve them before they send the request. */
export function isName(name: unknown): name is string {
  return typeof name === 'string' && /^(?!\.{1,2}$)[\w.-]{1,100}$/.test(name);
}

export function checkName(subject: string, name: unknown): asserts name is string {
  if (isName(name)) return;
  throw new ConfigurationError(
    `Expected \`name\` of ${subject} to be 1 to 100 letters, digits, ".", "_" or "-", and not "." or "..", got ${show(name)}. Set a name, for example \`{ name: 'search' }\`.`,
  );
}

export function checkOneOf(subject: string, option: string, value: unknown, allowed: readonly unknown[]): void {
  if (allowed.includes(value)) return;
  throw new ConfigurationError(`Expected \`${option}\` of ${subject} to be one of ${allowed.map(show).join(', ')}, got ${show(value)}.`);
}

export function checkObject(subject: string, value: unknown): asserts value is object {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return;
  throw new ConfigurationError(`Expected ${subject} to be an object, got ${show(value)}.`);
}

export function checkArray(subject: string, value: unknown): void {
  if (!Array.isArray(value)) throw new ConfigurationError(`Expected ${subject} to be an array, got ${show(value)}.`);
}

/** Without this check a misspelled option would be ignored, and the default would apply unnoticed. */
export function rejectUnknownOptions(subject: string, options: unknown, known: readonly string[]): void {
  checkObject(`the options of ${subject}`, options);
  for (const option of Object.keys(options)) {
    if (known.includes(option)) continue;
    throw new ConfigurationError(`Unknown option \`${option}\` of ${subject}. Known options: ${listed(known)}.`);
  }
}

/** Describes a value by its type. For values that may contain a password and must not appear in a message. */
export function showType(value: unknown): string {
  return typeof value === 'string' ? 'a string' : show(value);
}

/** Shows `value` in a message: the value itself if it is a primitive, otherwise its type. */
export function show(value: unknown): string {
  if (typeof value === 'string') return escapeInvisible(JSON.stringify(value));
  if (Array.isArray(value)) return `an array of ${String(value.length)}`;
  if (value === null || value === undefined) return `\`${String(value)}\``;
  if (typeof value === 'number' || typeof value === 'boolean') return `\`${String(value)}\` (${typeof value})`;
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

export function listed(names: readonly string[]): string {
  return names.length === 0 ? 'none' : names.map((name) => `\`${name}\``).join(', ');
}
