import { context, SpanKind, SpanStatusCode, trace, type Span, type Tracer } from '@opentelemetry/api';
import { describeError, isError, ProbeTimeoutError } from '../errors.js';
import type { ProbeRun, RunTracer } from '../run/observers.js';
import { ERROR_TYPE, PROBE_KIND, PROBE_NAME, RUN_OUTCOME } from './attributes.js';

/** Creates a span for each run. Spans of the check are its children. */
export function createRunTracer(tracer: Tracer): RunTracer {
  const spans = new WeakMap<ProbeRun, Span>();
  return {
    callCheck(run, check) {
      const attributes = { [PROBE_NAME]: run.probe, [PROBE_KIND]: run.kind };
      const span = tracer.startSpan(`probe ${run.probe}`, { kind: SpanKind.INTERNAL, attributes });
      spans.set(run, span);
      return context.with(trace.setSpan(context.active(), span), check);
    },
    onEnd(run) {
      const span = spans.get(run);
      if (run.outcome !== undefined) span?.setAttribute(RUN_OUTCOME, run.outcome);
      if (run.outcome === 'fail' || run.outcome === 'timeout') recordFailure(span, run.error);
      span?.end();
    },
  };
}

function recordFailure(span: Span | undefined, error: unknown): void {
  const message = describeError(error);
  span?.setAttribute(ERROR_TYPE, typeOf(error));
  span?.setStatus({ code: SpanStatusCode.ERROR, message });
  // Do not pass the error itself. A check may throw anything, and reading it may throw again.
  span?.recordException({ name: typeOf(error), message });
}

/** Returns `timeout`, or the code or the name of the error. The semantic conventions ask for few different values. */
function typeOf(error: unknown): string {
  try {
    if (ProbeTimeoutError.is(error)) return 'timeout';
    if (!isError(error)) return '_OTHER';
    const { code, name } = error as Error & { code?: unknown };
    if (typeof code === 'string' && code !== '') return code;
    return typeof name === 'string' ? name : '_OTHER';
  } catch {
    return '_OTHER';
  }
}
