// The whole gate. `npm test -- --grep sentence` hands its arguments on to mocha.
import { buildAfresh, installPackages, installServices, run } from './setup.js';

const mochaArguments = process.argv.slice(2);

const steps = {
  'install packages': () => installPackages(),
  'install services': () => installServices(),
  'build and check types': () => buildAfresh(),
  'check the format': () => run('prettier', '--check', '--log-level', 'warn', '.'),
  lint: () => run('oxlint', '--type-aware', '--deny-warnings', '--report-unused-disable-directives'),
  'find unused code': () => run('knip'),
  'check the package': () => {
    run('publint', '--strict');
    run('attw', '--pack', '.', '--profile', 'esm-only', '--quiet');
  },
  test: () => run('c8', 'mocha', ...mochaArguments),
  // A part of the tests stages a part of the faults.
  'check the table of faults': () => mochaArguments.length > 0 || run('node', 'scripts/faults.js', '--check'),
};

const beganAt = performance.now();
for (const [name, step] of Object.entries(steps)) {
  const startedAt = performance.now();
  console.log(`\n> ${name}`);
  step();
  console.log(`  ${((performance.now() - startedAt) / 1_000).toFixed(1)} s`);
}
console.log(`\nAll of it passed in ${((performance.now() - beganAt) / 1_000).toFixed(0)} s.`);
