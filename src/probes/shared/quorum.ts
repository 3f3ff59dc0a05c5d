import { ConfigurationError } from '../../errors.js';
import { show } from '../../validation.js';

/** How many targets must answer: all of them, any one of them, or this number of them. */
export type Requirement = 'all' | 'any' | number;

/** The number of targets that must answer, and what a message calls them: 2 `redis clients`. */
export interface Quorum {
  readonly needed: number;
  readonly noun: string;
}

/**
 * Returns how many of `total` targets the option `require` asks for. `of` describes the targets in a message: `the number of servers of the client`.
 *
 * @throws ConfigurationError if the option asks for more targets than there are, or for none
 */
export function countNeeded(subject: string, required: unknown, total: number, of: string): number {
  if (required === 'all') return total;
  if (required === 'any') return 1;
  if (typeof required === 'number' && Number.isInteger(required) && required >= 1 && required <= total) return required;
  throw new ConfigurationError(
    `Expected \`require\` of ${subject} to be "all", "any" or a whole number from 1 to ${String(total)} (${of}), got ${show(required)}.`,
  );
}
