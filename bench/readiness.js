/** The processor's time for a readiness that passes, of the server's process alone, over a plain `Promise.all` that Koa answers and over terminus. */
import { measureCpu, startServer } from './client.js';
import { interleave, median, report } from './support.js';

const ROUNDS = 21;

const FLOOR = 'Promise.all';
const CONTROL = 'control, Promise.all again';
const TERMINUS = '@godaddy/terminus';

const subjects = { 'koa-probes': 'koa-probes', [FLOOR]: FLOOR, [CONTROL]: FLOOR, [TERMINUS]: TERMINUS, 'bare Koa': 'bare Koa' };
const peers = { '@cloudnative/health-connect': '@cloudnative/health-connect' };

/** At most that much of each. */
const TARGETS = {
  1: { [FLOOR]: 1.05 },
  5: { [FLOOR]: 1.05 },
  50: { [FLOOR]: 1.05, [TERMINUS]: 1.05 },
  500: { [FLOOR]: 1.05, [TERMINUS]: 0.9 },
};

for (const [key, targets] of Object.entries(TARGETS)) {
  const checks = Number(key);
  const server = startServer();
  const runs = {};
  for (const [name, subject] of Object.entries({ ...subjects, ...peers })) {
    const { port } = await server.ask('open', { subject, checks });
    runs[name] = () => measureCpu(server, port, subject === 'bare Koa' ? 0 : checks);
  }
  const rounds = await interleave(ROUNDS, runs);
  server.stop();

  const figure = { bench: 'readiness', rounds: ROUNDS };
  const ratio = (name, base) => median(rounds.map((values) => values[name] / values[base]));
  for (const base of [FLOOR, TERMINUS]) {
    const atMost = targets[base];
    report({
      ...figure,
      case: `${checks} checks: koa-probes`,
      unit: `of ${base}`,
      value: ratio('koa-probes', base),
      ...(atMost && { atMost }),
    });
  }
  for (const name of [CONTROL, TERMINUS, '@cloudnative/health-connect', 'bare Koa']) {
    report({ ...figure, case: `${checks} checks: ${name}`, unit: `of ${FLOOR}`, value: ratio(name, FLOOR) });
  }
  report({ ...figure, case: `${checks} checks: ${FLOOR}`, unit: 'µs/request', value: median(rounds.map((values) => values[FLOOR])) });
}
