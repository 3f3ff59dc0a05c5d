import { ConfigurationError } from '../errors.js';
import type { ProbeRegistry } from '../registry/registry.js';
import { checkObject, rejectUnknownOptions, show } from '../validation.js';
import { LABEL_NAMES, MetricFamily, METRICS } from './metric-family.js';
import { MetricSource, type Labels } from './metric-source.js';
import { checkProbes } from './probes.js';

const SUBJECT = 'probeMetrics()';

/** A registry of any installed copy of prom-client: `import { register } from 'prom-client'`. */
export interface MetricRegister {
  registerMetric(metric: never): void;
  getSingleMetric(name: string): unknown;
  removeSingleMetric(name: string): void;
}

/** Options of `probeMetrics()`. */
export interface ProbeMetricsOptions {
  /** The registry of prom-client that receives the metrics. */
  register: MetricRegister;
  /**
   * Labels of every series, by name. Set them if several probe registries use one registry of prom-client, to tell their series apart.
   * @example { app: 'admin' }
   * @default no labels
   */
  labels?: Readonly<Record<string, string>> | undefined;
}

/**
 * Adds the metrics of the probes, `koa_probes_…`, to a registry of prom-client 15. A scrape runs no probe. It reads the latest results.
 * Runs and HTTP responses are counted from now on.
 *
 * @returns a function that removes the metrics. Further calls have no effect.
 * @throws ConfigurationError if `register` is not a registry of prom-client, the name of a metric is already used, or another probe registry has the same labels
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
    `Expected \`register\` of ${SUBJECT} to be a registry of prom-client 15, got ${show(register)}. Pass \`register\` from \`import { register } from 'prom-client'\`.`,
  );
}

function checkLabels(labels: unknown): void {
  checkObject(`\`labels\` of ${SUBJECT}`, labels);
  for (const [name, value] of Object.entries(labels)) {
    if (!/^(?!__)[a-zA-Z_]\w*$/.test(name) || LABEL_NAMES.includes(name))
      throw new ConfigurationError(
        `Expected the names in \`labels\` of ${SUBJECT} to be valid in Prometheus and none of ${LABEL_NAMES.join(', ')}, got ${show(name)}.`,
      );
    if (typeof value !== 'string')
      throw new ConfigurationError(`Expected the label ${show(name)} of ${SUBJECT} to be a string, got ${show(value)}.`);
  }
}

function checkFree(name: string, found: unknown, labels: Labels): void {
  if (found === undefined) return;
  if (!(found instanceof MetricFamily))
    throw new ConfigurationError(
      `${SUBJECT} cannot add ${name}: \`register\` already has a metric of that name. Use another registry of prom-client.`,
    );
  const wanted = keyOf(labels);
  if ([...found.sources].some(({ own }) => keyOf(own) === wanted))
    throw new ConfigurationError(
      `${SUBJECT} was called twice for one registry of prom-client with the same labels, so the series could not be told apart. ` +
        "Give each probe registry its own labels, `labels: { app: 'admin' }`, or first call the function that the earlier call returned.",
    );
}

function keyOf(labels: Labels): string {
  return JSON.stringify(Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
