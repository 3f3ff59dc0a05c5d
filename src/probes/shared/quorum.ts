import { ConfigurationError } from '../../errors.js';
import { show } from '../../validation.js';

/** How many of several must answer: all of them, any one of them, or a number. */
export type Requirement = 'all' | 'any' | number;

/** What must answer, in a message: 2 `redis clients`. */
export interface Quorum {
  readonly needed: number;
  readonly noun: string;
}

/**
 * How many of `total` the option `require` asks for. `of` says in a message what they are: `the servers of the client`.
 *
 * @throws ConfigurationError if it asks for more than there are, or for none.
 */
export function countNeeded(subject: string, required: unknown, total: number, of: string): number {
  if (required === 'all') return total;
  if (required === 'any') return 1;
  if (typeof required === 'number' && Number.isInteger(required) && required >= 1 && required <= total) return required;
  throw new ConfigurationError(
    `Expected \`require\` of ${subject} to be "all", "any" or a whole number from 1 to ${String(total)}, ${of}, got ${show(required)}.`,
  );
}
