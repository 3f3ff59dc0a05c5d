/** What all benchmarks share: interleaved rounds, the median, one line a figure. */

const isJson = process.argv.includes('--json');

const WARM_UP_ROUNDS = 3;

/**
 * Runs all `runs` once a round, in an order that alternates, so that what disturbs the machine disturbs them alike.
 * Compare what they give within a round, and take the median of the rounds.
 *
 * @template Value
 * @param {Record<string, () => Value | Promise<Value>>} runs
 * @returns {Promise<Record<string, Value>[]>}
 */
export async function interleave(rounds, runs, { warmUpRounds = WARM_UP_ROUNDS } = {}) {
  const names = Object.keys(runs);
  const measured = [];
  for (let round = -warmUpRounds; round < rounds; round += 1) {
    const values = {};
    for (const name of round % 2 === 0 ? names : names.toReversed()) values[name] = await runs[name]();
    if (round >= 0) measured.push(values);
  }
  return measured;
}

export function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * Prints one figure. `atMost` or `atLeast` is its target; without either it stands there to compare with. `each` are the values of the rounds, where they are few.
 *
 * @param {{ bench: string, case: string, unit: string, value: number, atMost?: number, atLeast?: number, rounds: number, each?: number[] }} figure
 */
export function report({ bench, case: name, unit, value: exact, atMost, atLeast, rounds, each: exactEach }) {
  const value = shorten(exact);
  const each = exactEach?.map(shorten);
  const target = atMost ?? atLeast;
  const goal = atMost === undefined ? 'at least' : 'at most';
  if (isJson) {
    console.log(
      JSON.stringify({ bench, case: name, unit, value, ...(target !== undefined && { target, goal }), rounds, ...(each && { each }) }),
    );
    return;
  }
  const isMissed = value > (atMost ?? Infinity) || value < (atLeast ?? -Infinity);
  const verdict = target === undefined ? '' : `${goal} ${target}${isMissed ? ', missed' : ''} `;
  const values = each === undefined ? '' : `(${each.join(', ')})`;
  console.log(`${bench.padEnd(14)}${name.padEnd(56)}${String(value).padStart(8)} ${unit.padEnd(22)}${verdict}${values}`.trimEnd());
}

function shorten(exact) {
  return Number(exact.toPrecision(4));
}
