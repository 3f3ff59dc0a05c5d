import { ConfigurationError } from '../../errors.js';
import { show } from '../../validation.js';

/** Checks a ratio from 0 to 1. `subject` is what the message calls the owner of the option. */
export function checkRatio(subject: string, option: string, value: unknown): void {
  checkNumber(subject, option, value, 0, 1);
}

export function checkNumber(subject: string, option: string, value: unknown, least: number, most: number): void {
  if (typeof value === 'number' && value >= least && value <= most) return;
  throw new ConfigurationError(
    `Expected \`${option}\` of ${subject} to be a number from ${String(least)} to ${String(most)}, got ${show(value)}.`,
  );
}

export function checkWholeNumber(subject: string, option: string, value: unknown, least: number, most: number): void {
  if (Number.isInteger(value)) return checkNumber(subject, option, value, least, most);
  throw new ConfigurationError(
    `Expected \`${option}\` of ${subject} to be a whole number from ${String(least)} to ${String(most)}, got ${show(value)}.`,
  );
}
