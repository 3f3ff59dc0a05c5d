import { ConfigurationError, describeError } from '../errors.js';
import type { ProbeLogger } from '../logger.js';
import { renderJson } from '../report/json.js';
import { renderText } from '../report/text.js';
import type { ProbeKind } from '../probe.js';
import type { ProbeRegistry } from '../registry/registry.js';
import { statusCodeOf, type ProbeReport, type ReasonAudience } from '../report/report.js';
import { checkOneOf, show } from '../validation.js';
import { chooseMediaType, PROBE_FORMATS, type MediaType, type ProbeFormat } from './format.js';
import type { PathOptions, ProbeTarget } from './paths.js';

export interface AnswerOptions<Request> {
  /**
   * Who sees why a check failed where it threw another error than `NotReady`. `public`: nobody, it says `reason withheld`; `all`: everybody;
   * a function: those for whom it returns `true`. One that throws or returns a promise means `public`.
   * @default 'public'
   */
  details?: 'public' | 'all' | ((request: Request) => boolean) | undefined;
  /**
   * `text` in the apiserver's dialect, `json` in the shape of the health+json draft, or `auto`: as `Accept` prefers, text where it does not say.
   * @default 'auto'
   */
  format?: ProbeFormat | undefined;
}

export interface EndpointOptions<Request> extends AnswerOptions<Request> {
  /**
   * Paths by kind, each a string or a list. Those of a kind replace its defaults.
   * @default { liveness: ['/livez', '/healthz'], readiness: '/readyz', startup: '/startupz' }
   */
  paths?: PathOptions | undefined;
}

export const ANSWER_OPTION_NAMES = ['details', 'format'] as const;
export const ENDPOINT_OPTION_NAMES = ['paths', ...ANSWER_OPTION_NAMES] as const;

/** What any server can write as it is. */
export interface ProbeAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Answers a probe, and never rejects: whatever the checks do is in the report. */
export type Answerer<Request> = (target: ProbeTarget, accept: string | undefined, request: Request) => Promise<ProbeAnswer>;

/** `caller` is what messages call the function of the public. */
export function createAnswerer<Request>(caller: string, probes: ProbeRegistry, options: AnswerOptions<Request>): Answerer<Request> {
  checkRegistry(caller, probes);
  const { details = 'public', format = 'auto' } = options;
  if (typeof details !== 'function') checkOneOf(caller, 'details', details, ['public', 'all']);
  checkOneOf(caller, 'format', format, PROBE_FORMATS);

  return (target, accept, request) => {
    const { kind, name, title, query } = target;
    const note = (answer: ProbeAnswer): ProbeAnswer => {
      probes.noteAnswer(kind, name, answer.status);
      return answer;
    };
    if (name !== undefined && !probes.has(kind, name))
      return Promise.resolve(note(plainAnswer(404, `no ${kind} probe is named ${show(name.slice(0, 100))}`)));
    const { exclude, isVerbose } = query === '' ? NO_QUERY : readQuery(query);
    const type = chooseMediaType(format, accept);
    return runProbes(probes, kind, name, exclude).then((report) => {
      if (report.status !== 'fail' && type === 'text/plain' && !isVerbose) return note(OK);
      const audience = chooseAudience(details, request, probes.logger);
      const body = type === 'text/plain' ? renderText(report, { title, audience, isVerbose }) : renderJson(report, audience);
      return note({ status: statusCodeOf(report), headers: headersOf(type, body), body });
    });
  };
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

function runProbes(probes: ProbeRegistry, kind: ProbeKind, name: string | undefined, exclude: readonly string[]): Promise<ProbeReport> {
  if (name !== undefined) return probes.run(kind, { only: name });
  return exclude.length === 0 ? probes.run(kind) : probes.run(kind, { exclude });
}

function checkRegistry(caller: string, probes: unknown): void {
  if (typeof probes === 'object' && probes !== null && 'run' in probes && 'lifecycle' in probes) return;
  throw new ConfigurationError(
    `Expected \`probes\` of ${caller} to be a ProbeRegistry, got ${show(probes)}. It comes from \`await discoverProbes(container)\`.`,
  );
}

function chooseAudience<Request>(details: AnswerOptions<Request>['details'], request: Request, logger: ProbeLogger): ReasonAudience {
  if (typeof details !== 'function') return details === 'all' ? 'operator' : 'public';
  const complain = (error: unknown) => logger.error(`\`details\` failed, the reasons are withheld: ${describeError(error)}`);
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

/** Plain text whatever `Accept` says: what does not exist has no report. */
export function plainAnswer(status: number, message: string): ProbeAnswer {
  const body = `${message}\n`;
  return { status, headers: headersOf('text/plain', body), body };
}

function headersOf(type: MediaType, body: string): Record<string, string> {
  return {
    'Content-Type': type === 'text/plain' ? 'text/plain; charset=utf-8' : type,
    'Content-Length': String(Buffer.byteLength(body)),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
  };
}

/** Nearly every answer. */
const OK: ProbeAnswer = Object.freeze({ status: 200, headers: Object.freeze(headersOf('text/plain', 'ok')), body: 'ok' });
