import { context, propagation, trace, type Attributes } from '@opentelemetry/api';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
  type MetricData,
} from '@opentelemetry/sdk-metrics';
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor, type SpanProcessor } from '@opentelemetry/sdk-trace-node';

/** The SDK's meters, read when a test asks. */
export function createMeters() {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 });
  const meterProvider = new MeterProvider({ readers: [reader] });

  const read = async (): Promise<MetricData[]> => {
    exporter.reset();
    await reader.forceFlush();
    return exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics));
  };
  return {
    meterProvider,
    read,
    /** The value of one series. */
    async valueOf(name: string, attributes: Attributes): Promise<unknown> {
      const metric = (await read()).find(({ descriptor }) => descriptor.name === name);
      const isWanted = (point: { attributes: Attributes }) =>
        Object.entries(attributes).every(([key, value]) => point.attributes[key] === value);
      return (metric?.dataPoints as { attributes: Attributes; value: unknown }[] | undefined)?.find(isWanted)?.value;
    },
    stop: () => meterProvider.shutdown(),
  };
}

/** The SDK's tracer, with its context manager for the whole process until `stop()`. */
export function createTracer(wrap: (processor: SpanProcessor) => SpanProcessor = (processor) => processor) {
  const exporter = new InMemorySpanExporter();
  const tracerProvider = new NodeTracerProvider({ spanProcessors: [wrap(new SimpleSpanProcessor(exporter))] });
  tracerProvider.register();
  return {
    tracerProvider,
    exporter,
    async stop() {
      await tracerProvider.shutdown();
      trace.disable();
      context.disable();
      propagation.disable();
    },
  };
}
