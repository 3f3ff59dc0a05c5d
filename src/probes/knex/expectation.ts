import { describeError, isError } from '../../errors.js';
import { show } from '../../validation.js';
import type { Row } from './client.js';

/** A value for the first column of the first row, or a function that is given all rows. */
export type Expected = string | number | bigint | boolean | null | ((rows: readonly Record<string, unknown>[]) => boolean);

/** @throws Error that shows the answer; whatever an expectation that is a function throws. */
export function checkAnswer(server: string, rows: readonly Row[], expected: Expected): void {
  if (typeof expected === 'function') return checkByFunction(server, rows, expected);
  const [row] = rows;
  if (row === undefined) throw new Error(`${server}: the query has no rows, and not ${showValue(expected)}`);
  const [value] = Object.values(row);
  if (isSame(value, expected)) return;
  throw new Error(`${server}: the query has the answer ${showValue(value)}, and not ${showValue(expected)}`);
}

function checkByFunction(server: string, rows: readonly Row[], expected: (rows: readonly Row[]) => boolean): void {
  const verdict: unknown = expected(rows);
  if (verdict === true) return;
  if (verdict === false) throw new Error(`${server}: the answer of the query is not as expected: ${showValue(rows)}`);
  // One that is asynchronous and rejects must not end the process.
  Promise.resolve(verdict).catch(() => {});
  const got = isError(verdict) ? describeError(verdict) : show(verdict);
  throw new Error(`${server}: Expected the function \`expect\` to return true or false, got ${got}. It cannot be asynchronous.`);
}

/** pg gives a `count(*)` as text, since it may be larger than a number can hold. */
function isSame(value: unknown, expected: Expected): boolean {
  if (value === expected) return true;
  const areNumbers = [value, expected].some((one) => typeof one === 'number' || typeof one === 'bigint');
  return areNumbers && (typeof value !== 'object' || value === null) && String(value) === String(expected);
}

/** The longest answer that a message shows, in characters. */
const LONGEST_ANSWER = 200;

function showValue(value: unknown): string {
  const text = JSON.stringify(value, (_, one: unknown) => (typeof one === 'bigint' ? String(one) : one)) ?? String(value);
  return text.length > LONGEST_ANSWER ? `${text.slice(0, LONGEST_ANSWER)}…` : text;
}
