/** 1,000 requests at the same moment on a check that never answers. */
import { requestTogether, startServer } from './client.js';
import { median, report } from './support.js';

const ROUNDS = 5;
const WARM_UP_ROUNDS = 2;
const REQUESTS = 1_000;
const TIMEOUT_MS = 500;

/** The default of the library: 100 ms above the longest timeout. */
const DEADLINE_MS = TIMEOUT_MS + 100;

/** When the clients give up. */
const PATIENCE_MS = 1_500;

/** Code that is made faster in the middle of a round would count as memory that is kept: a server of its own does without. */
const INTERPRET = ['--no-opt', '--no-sparkplug', '--no-flush-bytecode'];

const floor = await measureSubject('bare Koa');
print('bare Koa: slowest answer', 'ms', floor, 'slowestMs');
print('bare Koa: kept afterwards', 'bytes/request', floor, 'kept');

const ours = await measureSubject('koa-probes');
print('koa-probes: runs of the check', 'runs', ours, 'executions', { atMost: 1 });
print('koa-probes: answers', 'of 1,000', ours, 'answers', { atLeast: REQUESTS });
print('koa-probes: slowest answer', 'ms', ours, 'slowestMs');
// What the machine takes for 1,000 answers is not the library's.
const waits = ours.map(({ slowestMs }) => ({ waitMs: slowestMs - median(floor.map((round) => round.slowestMs)) }));
print('koa-probes: slowest answer, less bare Koa', 'ms', waits, 'waitMs', { atMost: DEADLINE_MS });
print('koa-probes: kept afterwards', 'bytes/request', ours, 'kept', { atMost: 100 });

for (const peer of ['@godaddy/terminus', '@cloudnative/health-connect']) {
  const rounds = await measureSubject(peer);
  print(`${peer}: runs of the check`, 'runs', rounds, 'executions');
  print(`${peer}: answers`, 'of 1,000', rounds, 'answers');
  print(`${peer}: kept afterwards`, 'bytes/request', rounds, 'kept');
}

function print(name, unit, rounds, figure, target) {
  report({ bench: 'hang', case: name, unit, value: median(rounds.map((round) => round[figure])), ...target, rounds: rounds.length });
}

/** One subject at a time: these are counts and waits, which do not need another beside them. */
async function measureSubject(subject) {
  const fast = startServer();
  const still = startServer(INTERPRET);
  const rounds = [];
  for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round += 1) {
    const { kept: _, ...answers } = await measure(fast, subject);
    const { kept } = await measure(still, subject);
    if (round >= 0) rounds.push({ ...answers, kept });
  }
  fast.stop();
  still.stop();
  return rounds;
}

async function measure(server, subject) {
  const { port } = await server.ask('open', { subject, checks: 1, isHanging: true, timeoutMs: TIMEOUT_MS });
  const { heapUsed: heapBefore } = await server.ask('heap', { port });
  const { executions: executionsBefore } = await server.ask('usage');
  const answers = await requestTogether(port, REQUESTS, PATIENCE_MS);
  const { executions } = await server.ask('usage');
  const { heapUsed } = await server.ask('heap', { port });
  await server.ask('close', { port });
  const answered = answers.filter(({ isAnswered }) => isAnswered);
  return {
    executions: executions - executionsBefore,
    answers: answered.length,
    slowestMs: Math.max(...answered.map(({ ms }) => ms)),
    kept: (heapUsed - heapBefore) / REQUESTS,
  };
}
