import { ConfigurationError } from '../errors.js';
import type { ProbeRegistry } from '../registry/registry.js';
import { checkObject, rejectUnknownOptions, show } from '../validation.js';
import { LABEL_NAMES, MetricFamily, METRICS } from './metric-family.js';
import { MetricSource, type Labels } from './metric-source.js';
import { checkProbes } from './probes.js';

const SUBJECT = 'probeMetrics()';

/** The registry of prom-client, whichever copy of the package it is from: `import { register } from 'prom-client'`. */
export interface MetricRegister {
  registerMetric(metric: never): void;
  getSingleMetric(name: string): unknown;
  removeSingleMetric(name: string): void;
}

export interface ProbeMetricsOptions {
  /** The registry of prom-client that the metrics are added to. */
  register: MetricRegister;
  /**
   * Labels for every series, by name. Needed if the metrics of several probe registries go to one registry of prom-client: they tell these apart.
   * @example { app: 'admin' }
   * @default none
   */
  labels?: Readonly<Record<string, string>> | undefined;
}

/**
 * Adds the metrics of the probes, `koa_probes_…`, to a registry of prom-client 15. A scrape reads what is known and runs no probe.
 * Runs and answers are counted from now on. The function that it returns takes the metrics out again, and may be called twice.
 *
 * @throws ConfigurationError if `register` is not a registry of prom-client, if a name of a metric is taken, or if these metrics would have the same labels as those of another probe registry.
 */
export function probeMetrics(probes: ProbeRegistry, options: ProbeMetricsOptions): () => void {
  checkProbes(SUBJECT, probes);
  rejectUnknownOptions(SUBJECT, options, ['register', 'labels']);
  const { register, labels = {} } = options;
  checkRegister(register);
  checkLabels(labels);
  const families = METRICS.map((definition) => ({ definition, found: register.getSingleMetric(definition.name) }));
  for (const { definition, found } of families) checkFree(definition.name, found, labels);

  const source = new MetricSource(probes, { ...labels });
  for (const { definition, found } of families) {
    const family = found instanceof MetricFamily ? found : new MetricFamily(definition);
    family.sources.add(source);
    if (family !== found) register.registerMetric(family as never);
  }

  return function stop() {
    source.stop();
    for (const { name } of METRICS) {
      const family = register.getSingleMetric(name);
      if (!(family instanceof MetricFamily)) continue;
      family.sources.delete(source);
      if (family.sources.size === 0) register.removeSingleMetric(name);
    }
  };
}

function checkRegister(register: Partial<MetricRegister> | undefined): void {
  const methods = ['registerMetric', 'getSingleMetric', 'removeSingleMetric'] as const;
  if (methods.every((method) => typeof register?.[method] === 'function')) return;
  throw new ConfigurationError(
    `Expected \`register\` of ${SUBJECT} to be a registry of prom-client 15, got ${show(register)}. Give it \`register\` of \`import { register } from 'prom-client'\`.`,
  );
}

function checkLabels(labels: unknown): void {
  checkObject(`\`labels\` of ${SUBJECT}`, labels);
  for (const [name, value] of Object.entries(labels)) {
    if (!/^(?!__)[a-zA-Z_]\w*$/.test(name) || LABEL_NAMES.includes(name))
      throw new ConfigurationError(
        `Expected \`labels\` of ${SUBJECT} to have names that Prometheus takes and that are none of ${LABEL_NAMES.join(', ')}, got ${show(name)}.`,
      );
    if (typeof value !== 'string')
      throw new ConfigurationError(`Expected the label ${show(name)} of ${SUBJECT} to be a string, got ${show(value)}.`);
  }
}

function checkFree(name: string, found: unknown, labels: Labels): void {
  if (found === undefined) return;
  if (!(found instanceof MetricFamily))
    throw new ConfigurationError(
      `${SUBJECT} cannot add ${name}: \`register\` has a metric of that name. Give it another registry of prom-client.`,
    );
  const wanted = keyOf(labels);
  if ([...found.sources].some(({ own }) => keyOf(own) === wanted))
    throw new ConfigurationError(
      `${SUBJECT} was called twice for one registry of prom-client, with the same labels: their series could not be told apart. ` +
        "Give each probe registry labels of its own, `labels: { app: 'admin' }`, or call the function that the first call returned.",
    );
}

function keyOf(labels: Labels): string {
  return JSON.stringify(Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
