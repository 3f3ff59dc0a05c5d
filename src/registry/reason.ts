import type { ProbeResult } from '../report/report.js';

/** An id of at least eight hexadecimal digits, for example of a connection or a container. */
const ID = /\b(?=[\da-f-]*\d)[\da-f]{8,}(?:-[\da-f]+)*\b/gi;

/** A number, a port, a time, a duration with its unit, or a numeric address. */
const NUMBER = /\d+(?:[.,:]\d+)*(?:\s?(?:ns|µs|ms|s|seconds?|min|minutes?|h|hours?)\b)?/g;

const LONGEST_KEY = 300;

/** Returns the reason of a result without the parts that differ from run to run. Two results with the same key failed for the same reason. */
export function reasonKeyOf({ failure }: ProbeResult): string {
  const reason = failure?.detail ?? '';
  return reason.slice(0, LONGEST_KEY).replace(ID, '#').replace(NUMBER, '#');
}
