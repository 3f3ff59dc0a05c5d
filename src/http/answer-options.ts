import { ConfigurationError } from '../errors.js';
import { SERVICE_INFO_NAMES, type ServiceInfo } from '../report/json.js';
import type { ProbeReport } from '../report/report.js';
import { checkOneOf, rejectUnknownOptions, show } from '../validation.js';
import { PROBE_FORMATS, type ProbeFormat } from './format.js';

/** A body of your own. */
export interface RenderedBody {
  readonly body: string;
  /** Media type, for example `application/json`. */
  readonly contentType: string;
}

export interface AnswerOptions<Request> {
  /**
   * Who sees why a check failed where it threw another error than `NotReady`, and `info`. `public`: nobody, it says `reason withheld`; `all`: everybody;
   * a function: those for whom it returns `true`. One that throws or returns a promise means `public`.
   * @default 'public'
   */
  details?: 'public' | 'all' | ((request: Request) => boolean) | undefined;
  /**
   * `text` in the apiserver's dialect, `json` in the shape of the health+json draft, or `auto`: as `Accept` prefers, text where it does not say.
   * @default 'auto'
   */
  format?: ProbeFormat | undefined;
  /**
   * What the service is, at the top of the JSON answer, for those to whom `details` shows everything. Each text has at most 200 characters.
   * @example { releaseId: process.env.GIT_COMMIT, serviceId: 'shop' }
   * @default none
   */
  info?: ServiceInfo | undefined;
  /**
   * Seconds in the header `Retry-After` of every answer with the status 503: a whole number from 1 to 86,400.
   * @default no header
   */
  retryAfterSeconds?: number | undefined;
  /**
   * A body of your own for every report: a string, as `text/plain`, or `{ body, contentType }`. The status and the headers stay those of the library, and `format` has no effect.
   * If it throws, or gives anything else or more than 10 KiB, the default text is answered, and the log says why.
   * Everybody can read the body: show `failure.reason` of a result, and not `failure.detail` or `error`.
   * @example (report) => ({ body: JSON.stringify({ status: report.status === 'fail' ? 'DOWN' : 'UP' }), contentType: 'application/json' })
   * @default none
   */
  render?: ((report: ProbeReport, request: Request) => string | RenderedBody) | undefined;
}

export const ANSWER_OPTION_NAMES = ['details', 'format', 'info', 'retryAfterSeconds', 'render'] as const;

/** What of the options whoever asks for a probe has to know. */
export function summariseAnswers<Request>({ details = 'public', format = 'auto' }: AnswerOptions<Request>) {
  return { details: typeof details === 'function' ? ('some' as const) : details, format };
}

/** A day. */
const LONGEST_RETRY_SECONDS = 86_400;
const LONGEST_INFO = 200;

/** `caller` is what messages call the function of the public. */
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
