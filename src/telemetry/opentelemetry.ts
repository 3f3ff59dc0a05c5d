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

export interface ProbeTelemetryOptions {
  /**
   * Where the metrics go.
   * @default the global one, as it is when `probeTelemetry` is called: start the SDK before
   */
  meterProvider?: MeterProvider | undefined;
  /**
   * Where the spans go.
   * @default the global one
   */
  tracerProvider?: TracerProvider | undefined;
  /**
   * Attributes of every metric, to tell several registries of probes in one process from each other.
   * @example { 'app.tenant': 'a' }
   * @default none
   */
  attributes?: Attributes | undefined;
  /**
   * A span for each run of a check, `probe <name>`, below the span of the request that began it. What the check does is within the span.
   * @default false
   */
  spans?: boolean | undefined;
}

/**
 * The metrics of the probes, `koa_probes.…`, and a span for each run if that is wanted, for OpenTelemetry. Reading a metric runs no probe.
 * Runs are counted from now on. The function that it returns ends it, and may be called twice.
 *
 * @throws ConfigurationError if `probes` is no registry of probes, an option is not known, or the same `meterProvider` has metrics of probes with the same `attributes` already.
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

/** Two registries with the same attributes would overwrite each other: a failing probe of one could show as the passing one of the other. */
function claim(provider: MeterProvider, attributes: Attributes): () => void {
  // The provider that does nothing has one meter for all.
  if (provider.getMeter(SCOPE) === provider.getMeter('')) return () => false;
  const key = JSON.stringify(Object.entries(attributes).toSorted(([one], [other]) => one.localeCompare(other)));
  const keys = claimed.get(provider) ?? new Set();
  claimed.set(provider, keys);
  if (keys.has(key)) {
    throw new ConfigurationError(
      `${SUBJECT} was called already for this MeterProvider with the same attributes. Give each registry of probes its own: \`attributes: { 'app.tenant': 'a' }\`, or call the function that the first call returned.`,
    );
  }
  keys.add(key);
  return () => keys.delete(key);
}
