// The whole gate. `npm test -- --grep sentence` passes its arguments on to mocha.
import { listTests, runTests } from './mocha.js';
import { buildAfresh, installPackages, installServices, run, runAside } from './setup.js';

const mochaArguments = process.argv.slice(2);
const isPartial = mochaArguments.length > 0;

/** Each line is a command. None needs another. */
const checks = [
  'prettier --check --log-level warn .',
  'oxlint --type-aware --deny-warnings --report-unused-disable-directives',
  'knip',
  'publint --strict',
  'attw --pack . --profile esm-only --quiet',
];

const steps = {
  'install packages': () => installPackages(),
  'install services': () => installServices(),
  'build and check types': () => buildAfresh(),
  'check the format, the code and the package': () => runSideBySide(checks),
  // Some of the tests cover some of the code, and stage some of the faults.
  test: () => runTests(listTests(), { mochaArguments, command: isPartial ? [] : ['c8'] }),
  'check the table of faults': () => isPartial || run('node', 'scripts/faults.js', '--check'),
};

const beganAt = performance.now();
for (const [name, step] of Object.entries(steps)) {
  const startedAt = performance.now();
  console.log(`\n> ${name}`);
  await step();
  console.log(`  ${secondsSince(startedAt).toFixed(1)} s`);
}
console.log(`\nAll of it passed in ${secondsSince(beganAt).toFixed(0)} s.`);

/** Ends this process if one of them fails, when all have ended. */
async function runSideBySide(commands) {
  const runs = commands.map(async (command) => {
    const startedAt = performance.now();
    const succeeded = await runAside(...command.split(' '));
    console.log(`  ${command}: ${succeeded ? `${secondsSince(startedAt).toFixed(1)} s` : 'failed'}`);
    return succeeded;
  });
  if ((await Promise.all(runs)).includes(false)) process.exit(1);
}

function secondsSince(startedAt) {
  return (performance.now() - startedAt) / 1_000;
}
