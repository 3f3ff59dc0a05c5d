import { show } from '../validation.js';
import { MAX_BODY_BYTES } from '../report/budget.js';
import type { RenderedBody } from './answer-options.js';

/** A type, a subtype and parameters, in characters that a header may contain (RFC 9110, section 8.3.1). */
const MEDIA_TYPE = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(?: *; *[\w!#$&^.+-]+=(?:[\w!#$&^.+-]+|"[ !#-[\]-~]*"))*$/;

/**
 * Converts the return value of `render` to a body with its type.
 * @throws TypeError or RangeError if it cannot be sent
 */
export function readRendered(rendered: unknown): RenderedBody {
  if (typeof rendered === 'string') return checkSize({ body: rendered, contentType: 'text/plain; charset=utf-8' });
  const { body, contentType } = typeof rendered === 'object' && rendered !== null ? (rendered as Partial<RenderedBody>) : {};
  if (typeof body !== 'string' || typeof contentType !== 'string') {
    // Nobody waits for a promise, but its rejection must not end the process.
    Promise.resolve(rendered).catch(() => {});
    throw new TypeError(`it returned ${rendered instanceof Promise ? 'a promise' : show(rendered)}, not a string or { body, contentType }`);
  }
  if (!MEDIA_TYPE.test(contentType)) throw new TypeError(`its \`contentType\` is ${show(contentType.slice(0, 100))}, not a media type`);
  return checkSize({ body, contentType });
}

function checkSize(rendered: RenderedBody): RenderedBody {
  const size = Buffer.byteLength(rendered.body);
  if (size <= MAX_BODY_BYTES) return rendered;
  throw new RangeError(`its body has ${String(size)} bytes, more than the ${String(MAX_BODY_BYTES)} that the kubelet reads`);
}
