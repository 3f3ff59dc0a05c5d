/** What timeouts, single flight and a report cost over running the checks alone. */
import { createRegistry } from './subjects.js';
import { interleave, median, report } from './support.js';

const ROUNDS = 31;

/** Checks in a timed run, however many belong to one readiness: some 10 ms. */
const CHECKS_A_RUN = 40_000;

for (const count of [10, 100, 1_000]) {
  const checks = Array.from({ length: count }, () => async () => {});
  const probes = createRegistry(checks);

  const rounds = await interleave(ROUNDS, {
    floor: () =>
      timePerCheck(count, async () => {
        const results = await Promise.all(checks.map((check) => check()));
        if (results.length !== count) throw new Error('a check is missing');
      }),
    guarded: () =>
      timePerCheck(count, async () => {
        const { status, results } = await probes.run('readiness');
        if (status !== 'pass' || results.length !== count + 1) throw new Error('a check is missing');
      }),
  });
  const figure = { bench: 'guard', rounds: ROUNDS };
  report({
    ...figure,
    case: `${count} checks`,
    unit: 'ratio',
    value: median(rounds.map(({ guarded, floor }) => guarded / floor)),
    atMost: 2,
  });
  report({ ...figure, case: `${count} checks: Promise.all`, unit: 'ns/check', value: median(rounds.map(({ floor }) => floor)) });
  report({ ...figure, case: `${count} checks: koa-probes`, unit: 'ns/check', value: median(rounds.map(({ guarded }) => guarded)) });
}

async function timePerCheck(count, run) {
  const startedAt = performance.now();
  for (let checks = 0; checks < CHECKS_A_RUN; checks += count) await run();
  return ((performance.now() - startedAt) * 1e6) / CHECKS_A_RUN;
}
