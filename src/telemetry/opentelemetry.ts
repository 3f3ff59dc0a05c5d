import { metrics, trace, type Attributes, type MeterProvider, type TracerProvider } from '@opentelemetry/api';
import type { ProbeRegistry } from '../registry/registry.js';
import { ConfigurationError } from '../errors.js';
import { checkObject, checkOneOf, rejectUnknownOptions } from '../validation.js';
import { createInstruments } from './instruments.js';
import { checkProbes } from './probes.js';
import { createRunTracer } from './run-spans.js';

export { withoutPassingProbes, type SpanProcessorLike } from './probe-spans.js';

const SUBJECT = 'probeTelemetry()';
const SCOPE = 'koa-probes';

/** Options of `probeTelemetry()`. All are optional. */
export interface ProbeTelemetryOptions {
  /**
   * The provider that receives the metrics.
   * @default the global provider at the time of the call, so start the SDK first
   */
  meterProvider?: MeterProvider | undefined;
  /**
   * The provider that receives the spans.
   * @default the global provider
   */
  tracerProvider?: TracerProvider | undefined;
  /**
   * Attributes of every metric. Use them to tell several probe registries in one process apart.
   * @example { 'app.tenant': 'a' }
   * @default no attributes
   */
  attributes?: Attributes | undefined;
  /**
   * Whether to create a span for each run of a check. The span is named `probe <name>` and is a child of the span of the request that started the run. Spans of the check itself are its children.
   * @default false
   */
  spans?: boolean | undefined;
}

/**
 * Creates the OpenTelemetry metrics of the probes, `koa_probes.…`, and optionally a span for each run. Reading a metric runs no probe.
 * Runs are counted from now on.
 *
 * @returns a function that removes the metrics and ends the spans. Further calls have no effect.
 * @throws ConfigurationError if `probes` is not a ProbeRegistry, an option is unknown, or the `meterProvider` already has metrics of probes with the same `attributes`
 */
export function probeTelemetry(probes: ProbeRegistry, options: ProbeTelemetryOptions = {}): () => void {
  checkProbes(SUBJECT, probes);
  rejectUnknownOptions(SUBJECT, options, ['meterProvider', 'tracerProvider', 'attributes', 'spans']);
  const {
    meterProvider = metrics.getMeterProvider(),
    tracerProvider = trace.getTracerProvider(),
    attributes = {},
    spans = false,
  } = options;
  checkOneOf(SUBJECT, 'spans', spans, [true, false]);
  checkObject(`\`attributes\` of ${SUBJECT}`, attributes);
  const release = claim(meterProvider, attributes);
  const stopMetrics = createInstruments(meterProvider.getMeter(SCOPE), probes, { ...attributes });
  const stopSpans = spans ? probes.observers.add({ tracer: createRunTracer(tracerProvider.getTracer(SCOPE)) }) : undefined;
  return () => {
    release();
    stopMetrics();
    stopSpans?.();
  };
}

const claimed = new WeakMap<MeterProvider, Set<string>>();

/** Two registries with the same attributes would overwrite each other's values: a failing probe of one registry could be reported as a passing probe of the other. */
function claim(provider: MeterProvider, attributes: Attributes): () => void {
  // The no-op provider returns the same meter for every name.
  if (provider.getMeter(SCOPE) === provider.getMeter('')) return () => false;
  const key = JSON.stringify(Object.entries(attributes).toSorted(([one], [other]) => one.localeCompare(other)));
  const keys = claimed.get(provider) ?? new Set();
  claimed.set(provider, keys);
  if (keys.has(key)) {
    throw new ConfigurationError(
      `${SUBJECT} was already called for this MeterProvider with the same attributes. Give each probe registry its own attributes, \`attributes: { 'app.tenant': 'a' }\`, or first call the function that the earlier call returned.`,
    );
  }
  keys.add(key);
  return () => keys.delete(key);
}
