/** What metrics cost: a scrape of 500 probes over the instruments of prom-client alone, and a readiness whose every run is counted. */
import { Gauge, Histogram, Registry } from 'prom-client';
import { probeMetrics } from '../dist/telemetry/prometheus.js';
import { pass } from './checks.js';
import { measureCpu, startServer } from './client.js';
import { createRegistry } from './subjects.js';
import { interleave, median, report } from './support.js';

const PROBES = 500;
const SCRAPES_A_RUN = 5;
const BUCKETS = [0.005, 0.025, 0.1, 0.5, 1];

await benchScrape();
for (const checks of [1, 5, 50]) await benchReadiness(checks);

async function benchScrape() {
  const rounds = 31;
  const [floor, own] = [createFloor(), await createOwn()];
  const measured = await interleave(rounds, {
    floor: () => timeScrape(floor),
    own: () => timeScrape(own),
    control: () => timeScrape(floor),
  });
  const figure = { bench: 'telemetry', rounds };
  const ratio = (name) => median(measured.map((values) => values[name] / values.floor));
  const unit = 'of one gauge and one histogram';
  report({ ...figure, case: `scrape of ${PROBES} probes: koa-probes, all ten metrics`, unit, value: ratio('own'), atMost: 1.5 });
  report({ ...figure, case: `scrape of ${PROBES} probes: control, prom-client again`, unit, value: ratio('control') });
  report({ ...figure, case: `scrape of ${PROBES} probes: koa-probes`, unit: 'ms', value: median(measured.map(({ own: ms }) => ms)) });
  report({
    ...figure,
    case: `scrape of ${PROBES} probes: prom-client alone`,
    unit: 'ms',
    value: median(measured.map(({ floor: ms }) => ms)),
  });
}

/** Instruments of prom-client itself, with the same number of probes. */
function createFloor() {
  const register = new Registry();
  const options = { help: 'Floor.', labelNames: ['probe'], registers: [register] };
  const gauge = new Gauge({ ...options, name: 'floor_up' });
  const histogram = new Histogram({ ...options, name: 'floor_seconds', buckets: BUCKETS });
  for (let index = 0; index < PROBES; index += 1) {
    gauge.set({ probe: `check-${index}` }, 1);
    histogram.observe({ probe: `check-${index}` }, 0.001);
  }
  return register;
}

async function createOwn() {
  const register = new Registry();
  const probes = createRegistry(Array.from({ length: PROBES }, () => pass));
  probeMetrics(probes, { register });
  await probes.run('readiness');
  return register;
}

/** Milliseconds a scrape. */
async function timeScrape(register) {
  const startedAt = performance.now();
  for (let scrapes = 0; scrapes < SCRAPES_A_RUN; scrapes += 1) await register.metrics();
  return (performance.now() - startedAt) / SCRAPES_A_RUN;
}

/** Runs come as fast as eight connections ask: several thousand a second with one check, and some hundred thousand with fifty. */
async function benchReadiness(checks) {
  const rounds = 21;
  const server = startServer();
  const runs = {};
  for (const [name, subject] of Object.entries({ bare: 'koa-probes', counted: 'koa-probes with metrics', control: 'koa-probes' })) {
    const { port } = await server.ask('open', { subject, checks });
    runs[name] = () => measureCpu(server, port, checks);
  }
  const measured = await interleave(rounds, runs);
  server.stop();

  const figure = { bench: 'telemetry', rounds };
  const title = `readiness of ${checks} ${checks === 1 ? 'check' : 'checks'}`;
  const ratio = (name) => median(measured.map((values) => values[name] / values.bare));
  const unit = 'of koa-probes without';
  report({ ...figure, case: `${title}: with metrics`, unit, value: ratio('counted'), ...(checks === 1 && { atMost: 1.05 }) });
  report({ ...figure, case: `${title}: control, without again`, unit, value: ratio('control') });
  const nsPerRun = median(measured.map(({ counted, bare }) => ((counted - bare) * 1_000) / checks));
  report({ ...figure, case: `${title}: what metrics add`, unit: 'ns a run', value: nsPerRun });
}
