// Runs the tests in several processes, a file at a time in each. What it prints last, `N passed, N failed`, is for programs to read.
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { root, run } from './setup.js';

/** The files that take longest, longest first: begun last, they would keep one process busy while the others have nothing left to do. */
const slowest = [
  'cluster/cluster-probes',
  'thread/minute',
  'discovery/builds',
  'package/majors',
  'package/services',
  'thread/minute',
  'examples/blocked',
  'thread/stack',
  'thread/process',
  'probes/knex/access',
  'probes/knex/poolers',
  'probes/knex/pool',
  'probes/redis/failover',
  'examples/observability',
  'examples/cluster',
  'kubernetes/lint',
  'page/browser',
  'thread/server',
  'thread/blocked',
  'shutdown/terminal',
  'shutdown/mixed-restart',
  'testing/frameworks',
  'cli/leftovers',
  'cli/probe-app',
  'probes/knex/database-probe',
  'probes/redis/redis-probe',
  'examples/worker',
  'package/package',
  'shutdown/scenarios',
  'probes/memjs/memcached-probe',
  'shutdown/rolling-restart',
  'cli/probe',
  'probes/knex/migrations-probe',
  'http/probe-server',
];

/** Most tests wait for a server, a child process or a timeout most of the time. */
const jobs = availableParallelism() * 2;
const results = join(root, 'build', 'test-results.json');

/** The tests in these files and folders of `test/` (`.` has those beside the folders), or all tests, in the order in which they are to begin. */
export function listTests(...selection) {
  const sources = readdirSync(join(root, 'test'), { recursive: true }).filter((file) => file.endsWith('.test.ts'));
  const tests = sources.map((file) => file.replaceAll('\\', '/').replace(/\.test\.ts$/, ''));
  const unknown = slowest.filter((test) => !tests.includes(test));
  if (unknown.length > 0) throw new Error(`There is no test/${unknown[0]}.test.ts. Correct the list of slow tests in scripts/mocha.js.`);
  const isIn = (test, part) => test === part || dirname(test) === part || test.startsWith(`${part}/`);
  const isSelected = (test) => selection.length === 0 || selection.some((part) => isIn(test, part));
  return [...new Set([...slowest, ...tests])].filter(isSelected);
}

/** Ends this process if a test fails, or if one of the files has no tests that ran: unless only some of them were asked for. */
export function runTests(tests, { mochaArguments = [], command = [] } = {}) {
  rmSync(results, { force: true });
  process.once('exit', printResults);
  const files = tests.map((test) => join(root, 'build', 'test', `${test}.test.js`));
  const reporter = ['--reporter', 'scripts/reporter.cjs', '--reporter-option', `output=${results}`];
  run(...command, 'mocha', '--parallel', '--jobs', jobs, '--require', './scripts/worker.cjs', ...reporter, ...files, ...mochaArguments);
  if (!existsSync(results)) {
    // Mocha ends with 0 if one of its processes dies of an error that was thrown after the last test.
    console.error('The tests have no result: a process that ran tests has died.');
    process.exit(1);
  }
  const untested = mochaArguments.length > 0 ? [] : files.filter((file) => !readResults().files.includes(file));
  if (untested.length === 0) return;
  console.error(`No test ran in ${untested.join(' and ')}.`);
  process.exit(1);
}

function printResults() {
  if (!existsSync(results)) return;
  const { passed, failed } = readResults();
  console.log(`${passed} passed, ${failed} failed`);
}

function readResults() {
  return JSON.parse(readFileSync(results, 'utf8'));
}
