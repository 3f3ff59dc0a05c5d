import { SpanKind, SpanStatusCode, trace, type Attributes, type Context, type SpanStatus } from '@opentelemetry/api';
import { isProbeRequest, type ProbeRequestOptions } from '../http/probe-request.js';
import { rejectUnknownOptions, show } from '../validation.js';
import { ConfigurationError } from '../errors.js';

const SUBJECT = 'withoutPassingProbes()';

/** A span processor of OpenTelemetry's SDK. */
export interface SpanProcessorLike {
  onStart(span: never, parentContext: never): void;
  onEnd(span: never): void;
  forceFlush(): Promise<void>;
  shutdown(): Promise<void>;
}

/** The part of an SDK span that is read here. */
interface SdkSpan {
  readonly kind: SpanKind;
  readonly attributes: Attributes;
  readonly status: SpanStatus;
}

/** The spans of one probe request. */
interface ProbeTrace {
  readonly root: SdkSpan;
  /** Spans that ended before it was known whether the request fails. */
  held: SdkSpan[];
  isKept: boolean | undefined;
}

/** Most spans that are held for one request. If a check creates more, the others are dropped. */
const MOST_SPANS = 1_000;

/**
 * Wraps a span processor. It drops the spans of passing probe requests, with all their child spans, and passes on the spans of failing ones. A request fails if its status is 400 or higher or its span has an error.
 * `ignoreIncomingRequestHook` of the HTTP instrumentation cannot do this, because it is called before there is a response.
 *
 * @example new NodeTracerProvider({ spanProcessors: [withoutPassingProbes(new BatchSpanProcessor(exporter))] })
 * @throws ConfigurationError if `processor` is not a span processor or a path is not valid
 */
export function withoutPassingProbes<Processor extends SpanProcessorLike>(
  processor: Processor,
  options: ProbeRequestOptions = {},
): Pick<Processor, keyof SpanProcessorLike> {
  checkProcessor(processor);
  rejectUnknownOptions(SUBJECT, options, ['paths']);
  // Throws now if a path is not valid.
  isProbeRequest({ method: 'GET', url: '/' }, options);
  const inner = processor as unknown as InnerProcessor;
  const traces = new WeakMap<object, ProbeTrace>();

  const filter: InnerProcessor = {
    onStart(span, parentContext) {
      const parent = trace.getSpan(parentContext);
      const probeTrace =
        (parent && traces.get(parent)) ?? (isProbeSpan(span, options) ? { root: span, held: [], isKept: undefined } : undefined);
      if (probeTrace !== undefined) traces.set(span, probeTrace);
      inner.onStart(span, parentContext);
    },
    onEnd(span) {
      const probeTrace = traces.get(span);
      if (probeTrace === undefined || probeTrace.isKept === true) return inner.onEnd(span);
      if (probeTrace.isKept === false) return;
      if (span !== probeTrace.root) {
        if (probeTrace.held.length < MOST_SPANS) probeTrace.held.push(span);
        return;
      }
      probeTrace.isKept = hasFailed(span);
      if (probeTrace.isKept) for (const one of [...probeTrace.held, span]) inner.onEnd(one);
      probeTrace.held = [];
    },
    forceFlush: () => inner.forceFlush(),
    shutdown: () => inner.shutdown(),
  };
  return filter;
}

interface InnerProcessor {
  onStart(span: SdkSpan, parentContext: Context): void;
  onEnd(span: SdkSpan): void;
  forceFlush(): Promise<void>;
  shutdown(): Promise<void>;
}

/** Reads the attribute names of the stable semantic conventions and the older ones. */
function isProbeSpan({ kind, attributes }: SdkSpan, options: ProbeRequestOptions): boolean {
  if (kind !== SpanKind.SERVER) return false;
  const method = attributes['http.request.method'] ?? attributes['http.method'];
  const url = attributes['url.path'] ?? attributes['http.target'];
  return typeof method === 'string' && typeof url === 'string' && isProbeRequest({ method, url }, options);
}

function hasFailed({ attributes, status }: SdkSpan): boolean {
  const code = attributes['http.response.status_code'] ?? attributes['http.status_code'];
  return status.code === SpanStatusCode.ERROR || typeof code !== 'number' || code >= 400;
}

function checkProcessor(processor: Partial<SpanProcessorLike> | undefined): void {
  const methods = ['onStart', 'onEnd', 'forceFlush', 'shutdown'] as const;
  if (methods.every((method) => typeof processor?.[method] === 'function')) return;
  throw new ConfigurationError(
    `Expected the argument of ${SUBJECT} to be a span processor, got ${show(processor)}. Pass the processor that exports the spans, for example \`new BatchSpanProcessor(exporter)\`.`,
  );
}
