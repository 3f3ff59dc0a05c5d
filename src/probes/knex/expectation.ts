import { describeError, isError } from '../../errors.js';
import { show } from '../../validation.js';
import type { Row } from './client.js';

/** The expected value in the first column of the first row, or a function that receives all rows and returns whether they are as expected. */
export type Expected = string | number | bigint | boolean | null | ((rows: readonly Record<string, unknown>[]) => boolean);

/** @throws Error that shows the result of the query; also anything that an expectation function throws */
export function checkAnswer(server: string, rows: readonly Row[], expected: Expected): void {
  if (typeof expected === 'function') return checkByFunction(server, rows, expected);
  const [row] = rows;
  if (row === undefined) throw new Error(`${server}: the query returned no rows, expected ${showValue(expected)}`);
  const [value] = Object.values(row);
  if (isSame(value, expected)) return;
  throw new Error(`${server}: the query returned ${showValue(value)}, expected ${showValue(expected)}`);
}

function checkByFunction(server: string, rows: readonly Row[], expected: (rows: readonly Row[]) => boolean): void {
  const verdict: unknown = expected(rows);
  if (verdict === true) return;
  if (verdict === false) throw new Error(`${server}: the result of the query is not as expected: ${showValue(rows)}`);
  // If the function is asynchronous and rejects, the rejection must not end the process.
  Promise.resolve(verdict).catch(() => {});
  const got = isError(verdict) ? describeError(verdict) : show(verdict);
  throw new Error(`${server}: Expected the function \`expect\` to return true or false, got ${got}. It cannot be asynchronous.`);
}

/** pg returns `count(*)` as text, because it may be too large for a number. */
function isSame(value: unknown, expected: Expected): boolean {
  if (value === expected) return true;
  const areNumbers = [value, expected].some((one) => typeof one === 'number' || typeof one === 'bigint');
  return areNumbers && (typeof value !== 'object' || value === null) && String(value) === String(expected);
}

/** Most characters of a result in a message. */
const LONGEST_ANSWER = 200;

function showValue(value: unknown): string {
  const text = JSON.stringify(value, (_, one: unknown) => (typeof one === 'bigint' ? String(one) : one)) ?? String(value);
  return text.length > LONGEST_ANSWER ? `${text.slice(0, LONGEST_ANSWER)}…` : text;
}
