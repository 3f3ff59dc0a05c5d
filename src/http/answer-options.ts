import { ConfigurationError } from '../errors.js';
import { SERVICE_INFO_NAMES, type ServiceInfo } from '../report/json.js';
import type { ProbeReport } from '../report/report.js';
import { checkOneOf, rejectUnknownOptions, show } from '../validation.js';
import { PROBE_FORMATS, type ProbeFormat } from './format.js';

/** A custom body. */
export interface RenderedBody {
  /** The body, at most 10 KiB. */
  readonly body: string;
  /** Media type, for example `application/json`. */
  readonly contentType: string;
}

/** Options of the responses. All are optional. */
export interface AnswerOptions<Request> {
  /**
   * Who sees `info` and the reason of a failure that is not a `NotReady`. `'public'`: nobody, the response says `reason withheld`. `'all'`: everybody.
   * A function: every request for which it returns `true`. If it throws or returns a promise, the reasons are withheld.
   * @default 'public'
   */
  details?: 'public' | 'all' | ((request: Request) => boolean) | undefined;
  /**
   * Format of the response. `'text'` is the text format of the Kubernetes API server. `'json'` is the format of the health+json draft. `'auto'` follows the `Accept` header, and uses text if the header has no preference.
   * @default 'auto'
   */
  format?: ProbeFormat | undefined;
  /**
   * Information about the service at the top of the JSON response. It is shown only to those who see all reasons, see `details`. Each text has 1 to 200 characters.
   * @example { releaseId: process.env.GIT_COMMIT, serviceId: 'shop' }
   * @default no information
   */
  info?: ServiceInfo | undefined;
  /**
   * Value of the `Retry-After` header of every 503 response, in seconds. A whole number from 1 to 86,400.
   * @default no header
   */
  retryAfterSeconds?: number | undefined;
  /**
   * Returns a custom body for every report: a string, which is sent as `text/plain`, or `{ body, contentType }`. The library still sets the status and the headers, and `format` has no effect.
   * If the function throws, returns anything else, or returns more than 10 KiB, the default text is sent and the problem is logged.
   * Everybody can read the body, so use `failure.reason` of a result, and not `failure.detail` or `error`.
   * @example (report) => ({ body: JSON.stringify({ status: report.status === 'fail' ? 'DOWN' : 'UP' }), contentType: 'application/json' })
   * @default no custom body
   */
  render?: ((report: ProbeReport, request: Request) => string | RenderedBody) | undefined;
}

export const ANSWER_OPTION_NAMES = ['details', 'format', 'info', 'retryAfterSeconds', 'render'] as const;

/** Returns the options that matter to clients. */
export function summariseAnswers<Request>({ details = 'public', format = 'auto' }: AnswerOptions<Request>) {
  return { details: typeof details === 'function' ? ('some' as const) : details, format };
}

/** One day. */
const LONGEST_RETRY_SECONDS = 86_400;
const LONGEST_INFO = 200;

/** `caller` is the name of the public function in messages. */
export function checkAnswerOptions<Request>(caller: string, options: AnswerOptions<Request>): void {
  const { details = 'public', format = 'auto', info, retryAfterSeconds, render } = options;
  if (typeof details !== 'function') checkOneOf(caller, 'details', details, ['public', 'all']);
  checkOneOf(caller, 'format', format, PROBE_FORMATS);
  if (info !== undefined) checkInfo(caller, info);
  if (retryAfterSeconds !== undefined) checkRetryAfter(caller, retryAfterSeconds);
  if (render !== undefined && typeof render !== 'function')
    throw new ConfigurationError(`Expected \`render\` of ${caller} to be a function, got ${show(render)}.`);
}

function checkInfo(caller: string, info: ServiceInfo): void {
  rejectUnknownOptions(`\`info\` of ${caller}`, info, SERVICE_INFO_NAMES);
  for (const name of SERVICE_INFO_NAMES) {
    const text: unknown = info[name];
    if (text === undefined || (typeof text === 'string' && text !== '' && text.length <= LONGEST_INFO)) continue;
    throw new ConfigurationError(
      `Expected \`info.${name}\` of ${caller} to be a string of 1 to ${String(LONGEST_INFO)} characters, got ${typeof text === 'string' && text !== '' ? `${String(text.length)} characters` : show(text)}.`,
    );
  }
}

function checkRetryAfter(caller: string, seconds: unknown): void {
  if (typeof seconds === 'number' && Number.isInteger(seconds) && seconds >= 1 && seconds <= LONGEST_RETRY_SECONDS) return;
  throw new ConfigurationError(
    `Expected \`retryAfterSeconds\` of ${caller} to be a whole number of seconds from 1 to ${String(LONGEST_RETRY_SECONDS)}, got ${show(seconds)}.`,
  );
}
