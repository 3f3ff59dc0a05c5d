/** What timeouts, single flight and a report cost over running the checks alone. */
import { counter, pass } from './checks.js';
import { createRegistry } from './subjects.js';
import { interleave, median, report } from './support.js';

const ROUNDS = 41;

/** Checks in a timed run, however many belong to one readiness: some 5 ms. */
const CHECKS_A_RUN = 40_000;

const TARGETS = { 10: 1.25, 100: 1.1, 1_000: 1.1 };

for (const [checks, atMost] of Object.entries(TARGETS)) {
  const count = Number(checks);
  const all = Array.from({ length: count }, () => () => pass());
  const probes = createRegistry(all);
  const runAll = () => timePerCheck(count, () => Promise.all(all.map((check) => check())));

  const rounds = await interleave(ROUNDS, {
    floor: runAll,
    control: runAll,
    guarded: () =>
      timePerCheck(count, async () => {
        const { status } = await probes.run('readiness');
        if (status !== 'pass') throw new Error('a check failed');
      }),
    read: () =>
      timePerCheck(count, async () => {
        const { results } = await probes.run('readiness');
        if (results.length !== count + 1) throw new Error('a result is missing');
      }),
  });
  const figure = { bench: 'guard', rounds: ROUNDS };
  const ratio = (name) => median(rounds.map((values) => values[name] / values.floor));
  report({ ...figure, case: `${count} checks: koa-probes`, unit: 'of Promise.all', value: ratio('guarded'), atMost });
  report({ ...figure, case: `${count} checks: koa-probes, every result read`, unit: 'of Promise.all', value: ratio('read') });
  report({ ...figure, case: `${count} checks: control, Promise.all again`, unit: 'of Promise.all', value: ratio('control') });
  report({ ...figure, case: `${count} checks: Promise.all`, unit: 'ns/check', value: median(rounds.map(({ floor }) => floor)) });
}

async function timePerCheck(count, run) {
  const before = counter.executions;
  const startedAt = performance.now();
  for (let checks = 0; checks < CHECKS_A_RUN; checks += count) await run();
  const elapsed = performance.now() - startedAt;
  const executions = counter.executions - before;
  if (executions !== CHECKS_A_RUN) throw new Error(`Expected ${CHECKS_A_RUN} checks to run, but ${executions} did.`);
  return (elapsed * 1e6) / CHECKS_A_RUN;
}
