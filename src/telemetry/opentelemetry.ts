import { metrics, trace, type MeterProvider, type TracerProvider } from '@opentelemetry/api';
import type { ProbeRegistry } from '../registry/registry.js';
import { checkOneOf, rejectUnknownOptions } from '../validation.js';
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
   * A span for each run of a check, `probe <name>`, below the span of the request that began it. What the check does is within the span.
   * @default false
   */
  spans?: boolean | undefined;
}

/**
 * The metrics of the probes, `koa_probes.…`, and a span for each run if that is wanted, for OpenTelemetry. Reading a metric runs no probe.
 * Runs are counted from now on. The function that it returns ends it, and may be called twice.
 *
 * @throws ConfigurationError if `probes` is no registry of probes, or an option is not known.
 */
export function probeTelemetry(probes: ProbeRegistry, options: ProbeTelemetryOptions = {}): () => void {
  checkProbes(SUBJECT, probes);
  rejectUnknownOptions(SUBJECT, options, ['meterProvider', 'tracerProvider', 'spans']);
  const { meterProvider = metrics.getMeterProvider(), tracerProvider = trace.getTracerProvider(), spans = false } = options;
  checkOneOf(SUBJECT, 'spans', spans, [true, false]);
  const stopMetrics = createInstruments(meterProvider.getMeter(SCOPE), probes);
  const stopSpans = spans ? probes.observers.add({ tracer: createRunTracer(tracerProvider.getTracer(SCOPE)) }) : undefined;
  return () => {
    stopMetrics();
    stopSpans?.();
  };
}
