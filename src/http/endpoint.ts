import { ConfigurationError, describeError } from '../errors.js';
import type { FieldLogger } from '../logger.js';
import { renderJson } from '../report/json.js';
import { renderText } from '../report/text.js';
import type { ProbeKind } from '../probe.js';
import { COMPLAINT_PAUSES_MS, Pace } from '../registry/pace.js';
import type { ProbeRegistry, RunOptions } from '../registry/registry.js';
import { statusCodeOf, type ProbeReport, type ReasonAudience } from '../report/report.js';
import { show } from '../validation.js';
import { ANSWER_OPTION_NAMES, checkAnswerOptions, type AnswerOptions, type RenderedBody } from './answer-options.js';
import { readRendered } from './custom-body.js';
import { chooseMediaType, type MediaType } from './format.js';
import type { PathOptions, ProbeTarget } from './paths.js';

export interface EndpointOptions<Request> extends AnswerOptions<Request> {
  /**
   * Paths by kind, each a string or a list. Those of a kind replace its defaults.
   * @default { liveness: ['/livez', '/healthz'], readiness: '/readyz', startup: '/startupz' }
   */
  paths?: PathOptions | undefined;
}

export const ENDPOINT_OPTION_NAMES = ['paths', ...ANSWER_OPTION_NAMES] as const;

/** What any server can write as it is. */
export interface ProbeAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Answers a probe, and never rejects: whatever the checks do is in the report. */
export type Answerer<Request> = (target: ProbeTarget, accept: string | undefined, request: Request) => Promise<ProbeAnswer>;

/** What an answer is made from: a registry, or what is known of one elsewhere. */
export interface AnswerSource {
  readonly logger: FieldLogger;
  has(kind: ProbeKind, name: string): boolean;
  run(kind: ProbeKind, options?: RunOptions): Promise<ProbeReport>;
  noteAnswer(kind: ProbeKind, probe: string | undefined, code: number): void;
}

/** `caller` is what messages call the function of the public. */
export function createAnswerer<Request>(caller: string, probes: ProbeRegistry, options: AnswerOptions<Request>): Answerer<Request> {
  checkRegistry(caller, probes);
  checkAnswerOptions(caller, options);
  return answerFrom(probes, options);
}

/** The options are in their ranges. */
export function answerFrom<Request>(probes: AnswerSource, options: AnswerOptions<Request>): Answerer<Request> {
  const { details = 'public', format = 'auto', info, retryAfterSeconds, render } = options;
  const complain = createComplaint(probes.logger);
  const renderDefault = (report: ProbeReport, { type, query, title, request }: Asked<Request>): Body => {
    if (report.status !== 'fail' && type === 'text/plain' && !query.isVerbose) return OK_BODY;
    const audience = chooseAudience(details, request, (error) => complain('`details` failed, the reasons are withheld', error));
    if (type !== 'text/plain') return { contentType: type, body: renderJson(report, audience, info) };
    return { contentType: TEXT, body: renderText(report, { title, audience, isVerbose: query.isVerbose }) };
  };
  const renderBody = (report: ProbeReport, asked: Asked<Request>): Body => {
    if (render === undefined) return renderDefault(report, asked);
    try {
      return readRendered(render(copyOf(report), asked.request));
    } catch (error) {
      complain('`render` failed, the default text is answered', error);
      return renderDefault(report, { ...asked, type: 'text/plain' });
    }
  };

  return (target, accept, request) => {
    const { kind, name, title } = target;
    const note = (answer: ProbeAnswer): ProbeAnswer => {
      probes.noteAnswer(kind, name, answer.status);
      return answer;
    };
    if (name !== undefined && !probes.has(kind, name))
      return Promise.resolve(note(plainAnswer(404, `no ${kind} probe is named ${show(name.slice(0, 100))}`)));
    const query = target.query === '' ? NO_QUERY : readQuery(target.query);
    const type = chooseMediaType(format, accept);
    return runProbes(probes, kind, name, query.exclude).then((report) => {
      // Before `render`, which could change the report.
      const status = statusCodeOf(report);
      const body = renderBody(report, { type, query, title, request });
      if (body === OK_BODY) return note(OK);
      const headers = headersOf(body);
      if (status === 503 && retryAfterSeconds !== undefined) headers['Retry-After'] = String(retryAfterSeconds);
      return note({ status, headers, body: body.body });
    });
  };
}

/** For `render`, which may do to it as it likes: the results belong to all who ask. */
function copyOf({ kind, status, results, unknownExcludes }: ProbeReport): ProbeReport {
  const copies = results.map((result) => Object.assign({}, result, { failure: result.failure && { ...result.failure } }));
  return { kind, status, results: copies, unknownExcludes: [...unknownExcludes] };
}

/** What a request asks for, beside the probes. */
interface Asked<Request> {
  readonly type: MediaType;
  readonly query: ProbeQuery;
  readonly title: string;
  readonly request: Request;
}

interface ProbeQuery {
  readonly exclude: readonly string[];
  readonly isVerbose: boolean;
}

const NO_QUERY: ProbeQuery = { exclude: [], isVerbose: false };

function readQuery(query: string): ProbeQuery {
  const parameters = new URLSearchParams(query);
  return { exclude: parameters.getAll('exclude'), isVerbose: parameters.has('verbose') };
}

function runProbes(probes: AnswerSource, kind: ProbeKind, name: string | undefined, exclude: readonly string[]): Promise<ProbeReport> {
  if (name !== undefined) return probes.run(kind, { only: name });
  return exclude.length === 0 ? probes.run(kind) : probes.run(kind, { exclude });
}

export function checkRegistry(caller: string, probes: unknown): void {
  if (typeof probes === 'object' && probes !== null && 'run' in probes && 'lifecycle' in probes) return;
  throw new ConfigurationError(
    `Expected \`probes\` of ${caller} to be a ProbeRegistry, got ${show(probes)}. It comes from \`await discoverProbes(container)\`.`,
  );
}

/** `complain` is called if the function fails. */
export function chooseAudience<Request>(
  details: AnswerOptions<Request>['details'],
  request: Request,
  complain: (error: unknown) => void,
): ReasonAudience {
  if (typeof details !== 'function') return details === 'all' ? 'operator' : 'public';
  try {
    const answer: unknown = details(request);
    if (answer === true) return 'operator';
    // A promise is not waited for, but its rejection would end the process.
    Promise.resolve(answer).catch(complain);
  } catch (error) {
    complain(error);
  }
  return 'public';
}

/** A function of the application may fail at each request: that is not a line each. */
function createComplaint(logger: FieldLogger): (subject: string, error: unknown) => void {
  const paces = new Map<string, Pace>();
  return (subject, error) => {
    const pace = paces.get(subject) ?? new Pace(COMPLAINT_PAUSES_MS);
    paces.set(subject, pace);
    if (pace.take(performance.now())) logger.error(`${subject}: ${describeError(error)}`, { err: error });
  };
}

/** Plain text whatever `Accept` says: what does not exist has no report. */
export function plainAnswer(status: number, message: string): ProbeAnswer {
  const body = `${message}\n`;
  return { status, headers: headersOf({ contentType: TEXT, body }), body };
}

type Body = RenderedBody;

const TEXT = 'text/plain; charset=utf-8';
/** Nearly every answer. */
const OK_BODY: Body = Object.freeze({ contentType: TEXT, body: 'ok' });

function headersOf({ contentType, body }: Body): Record<string, string> {
  return {
    'Content-Type': contentType,
    'Content-Length': String(Buffer.byteLength(body)),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
  };
}

const OK: ProbeAnswer = Object.freeze({ status: 200, headers: Object.freeze(headersOf(OK_BODY)), body: OK_BODY.body });
