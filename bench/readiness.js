/** The processor's time for a readiness that passes, of the server's process alone, against Koa that answers `ok` and checks nothing. */
import { requestSteadily, startServer } from './client.js';
import { interleave, median, report } from './support.js';

const ROUNDS = 15;
const CONNECTIONS = 8;
const RUN_MS = 200;

const TARGETS = { 50: 0.85, 500: 0.55 };

const subjects = ['bare Koa', 'koa-probes', 'Promise.all', '@godaddy/terminus', '@cloudnative/health-connect'];

for (const checks of [50, 500]) {
  const server = startServer();
  const runs = {};
  for (const subject of subjects) {
    const { port } = await server.ask('open', { subject, checks });
    runs[subject] = () => measureCpu(server, port, subject === 'bare Koa' ? 0 : checks);
  }
  const rounds = await interleave(ROUNDS, runs);
  server.stop();

  const figure = { bench: 'readiness', rounds: ROUNDS };
  report({
    ...figure,
    case: `${checks} checks: bare Koa, whole`,
    unit: 'µs/request',
    value: median(rounds.map((values) => values['bare Koa'])),
  });
  for (const subject of subjects.slice(1)) {
    const value = median(rounds.map((values) => values['bare Koa'] / values[subject]));
    report({
      ...figure,
      case: `${checks} checks: ${subject}`,
      unit: 'of bare Koa',
      value,
      ...(subject === 'koa-probes' && { atLeast: TARGETS[checks] }),
    });
  }
}

/** Microseconds of CPU a request. */
async function measureCpu(server, port, checks) {
  const before = await server.ask('usage');
  const requests = await requestSteadily(port, CONNECTIONS, RUN_MS);
  const after = await server.ask('usage');
  const executions = after.executions - before.executions;
  if (executions !== requests * checks)
    throw new Error(`Expected ${requests} requests to run ${checks} checks each, but ${executions} ran.`);
  return (after.cpuUs - before.cpuUs) / requests;
}
