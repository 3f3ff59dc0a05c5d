/** A pod is replaced while clients go on to send: which ways to shut down lose requests, and how long they take. */
import { restart, rollOut } from './shutdown/rollout.js';
import { subjects } from './shutdown/subjects.js';
import { interleave, median, report } from './support.js';

const LOADS = ['layer 7', 'layer 4', '800 slow clients'];
const ROUNDS = 3;
const RESTARTS = 20;

/** Longer than the balancer is late. */
const DELAY_MS = 1_500;

/** After the delay and the last answer. */
const LATE_AT_MOST_MS = 300;

const ours = 'koa-probes';

for (const load of LOADS) {
  const runs = Object.fromEntries(Object.keys(subjects).map((subject) => [subject, () => rollOut(subject, load, delayOf(subject))]));
  const rounds = await interleave(ROUNDS, runs, { warmUpRounds: 0 });
  for (const subject of Object.keys(subjects)) {
    const outcomes = rounds.map((round) => round[subject]);
    print(`${load}: ${subject}`, outcomes, subject === ours);
  }
}
print(`${RESTARTS} rolling restarts: ${ours}`, [await restart(ours, 'layer 4', DELAY_MS, RESTARTS)], true);

/** For how long a subject still takes new requests. */
function delayOf(subject) {
  return subject === 'server.close()' || subject.endsWith(', its defaults') ? 0 : DELAY_MS;
}

/** @param {import('./shutdown/rollout.js').Outcome[]} outcomes */
function print(name, outcomes, hasTargets) {
  const exits = outcomes.flatMap((outcome) => outcome.exits);
  const figure = (label, unit, each, summarize, target) =>
    report({
      bench: 'shutdown',
      case: `${name}: ${label}`,
      unit,
      value: summarize(each),
      ...(hasTargets && target),
      rounds: each.length,
      each,
    });
  const failed = outcomes.map(({ failures }) => failures.length);
  const sent = outcomes.map((outcome) => outcome.sent);
  const exitMs = exits.map((exit) => exit.exitMs);
  const floorMs = exits.map((exit) => exit.floorMs);
  const lateMs = exits.map((exit) => exit.exitMs - exit.floorMs);
  const codes = exits.map(({ code }) => code);
  figure('failed', 'requests', failed, sum, { atMost: 0 });
  figure('sent', 'requests', sent, sum);
  figure('exit', 'ms', exitMs, median);
  figure('delay, last answer', 'ms', floorMs, median);
  figure('exit after these', 'ms', lateMs, median, { atMost: LATE_AT_MOST_MS });
  figure('exit code', '', codes, largest, { atMost: 0 });
  explain(name, outcomes);
}

/** To standard error, so that the cause can be found. */
function explain(name, outcomes) {
  const reasons = new Map();
  for (const { reason } of outcomes.flatMap(({ failures }) => failures)) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  for (const [reason, count] of reasons) console.error(`${name}: ${count} ${reason}`);
}

function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}

function largest(numbers) {
  return Math.max(...numbers);
}
