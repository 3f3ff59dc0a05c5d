import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Context, Middleware } from 'koa';
import { ConfigurationError, describeError } from '../errors.js';
import { checkRegistry, chooseAudience } from '../http/endpoint.js';
import type { AnswerOptions } from '../http/answer-options.js';
import type { RequestHandler } from '../http/probe-server.js';
import type { ProbeRegistry } from '../registry/registry.js';
import { checkOneOf, rejectUnknownOptions, show } from '../validation.js';
import { Page, sendText, type Access } from './page.js';

/** What `authorize` and `details` are given: the context of Koa, or the request if the page is served by `probeServer`. */
export type PageRequest = Context | IncomingMessage;

export interface StatusPageOptions {
  /**
   * Where the page is. The stream of its changes is at `<path>/events`.
   * @default '/probes'
   */
  path?: string | undefined;
  /**
   * Name of the service, at the top of the page and in the title of the browser's tab.
   * @default 'Probes'
   */
  title?: string | undefined;
  /**
   * Who sees why a probe failed where it threw another error than `NotReady` or `Degraded`: `public`, nobody; `all`, everybody who sees the page; or a function.
   * @default 'public'
   */
  details?: AnswerOptions<PageRequest>['details'];
  /**
   * Who may act: switch readiness off and on, start a maintenance, run a probe. It returns the name of the person, for the log, or `true`; anything else refuses. It may return a promise.
   * Without it the page has no buttons. It does not decide who sees the page: for that, put your own middleware before it.
   * @example (request) => 'state' in request && request.state.user?.isOperator && request.state.user.name
   * @default nobody
   */
  authorize?: ((request: PageRequest) => unknown) | undefined;
}

/** A middleware of Koa, and a handler for `probeServer(probes, { page })`. */
export type StatusPage = Middleware & RequestHandler;

const OPTION_NAMES = ['path', 'title', 'details', 'authorize'] as const;
const SUBJECT = 'statusPage()';

/**
 * A page for people: the state of the application, each probe, and what has changed. Looking at it runs no probe.
 * Use it as a middleware, `app.use(statusPage(probes))`, or on a management port, `probeServer(probes, { port: 9090, page: statusPage(probes) })`.
 *
 * @throws ConfigurationError if an option is out of its range.
 */
export function statusPage(probes: ProbeRegistry, options: StatusPageOptions = {}): StatusPage {
  checkRegistry(SUBJECT, probes);
  rejectUnknownOptions(SUBJECT, options, OPTION_NAMES);
  checkOptions(options);
  const { path = '/probes', title = 'Probes', details = 'public', authorize } = options;
  const page = new Page(probes, title);
  const complain = (what: string) => (error: unknown) =>
    probes.logger.error(`${what} of ${SUBJECT} failed: ${describeError(error)}`, { err: error });

  const authorizeSafely = async (subject: PageRequest): Promise<string | undefined> => {
    try {
      const answer: unknown = await authorize?.(subject);
      if (typeof answer === 'string' && answer !== '') return answer;
      return answer === true ? 'someone who is authorized' : undefined;
    } catch (error) {
      complain('`authorize`')(error);
      return undefined;
    }
  };

  const answer = async (part: Part, request: IncomingMessage, response: ServerResponse, caller: Caller): Promise<void> => {
    const audience = chooseAudience(details, caller.subject, complain('`details`'));
    const who = await authorizeSafely(caller.subject);
    const access: Access = { audience, mayAct: who !== undefined, who, ...caller };
    if (part === 'events') return page.openStream(response, access);
    if (request.method === 'POST') return page.act(request, response, access);
    page.sendDocument(request, response, access);
  };

  const serve = (pathname: string, request: IncomingMessage, response: ServerResponse, caller: () => Caller): Promise<void> | undefined => {
    const part = partOf(path, pathname);
    if (part === undefined) return undefined;
    const methods = part === 'events' ? ['GET'] : ['GET', 'HEAD', 'POST'];
    if (!methods.includes(request.method ?? '')) {
      response.setHeader('Allow', methods.join(', '));
      sendText(response, { status: 405, message: 'method not allowed' });
      return Promise.resolve();
    }
    return answer(part, request, response, caller()).catch((error: unknown) => {
      complain('the page')(error);
      sendText(response, { status: 500, message: 'The page could not be made. The log says why.' });
    });
  };

  const middleware = function answerStatusPage(ctx: Context, next: () => Promise<unknown>): Promise<unknown> {
    const { host, secure: isSecure } = ctx;
    const parsedBody = (ctx.request as { body?: unknown }).body;
    const served = serve(ctx.path, ctx.req, ctx.res, () => ({ subject: ctx, host, isSecure, parsedBody }));
    if (served === undefined) return next();
    // The page writes to the response itself, and a stream goes on.
    ctx.respond = false;
    return served;
  };
  const handle = (request: IncomingMessage, response: ServerResponse): boolean => {
    const caller = () => ({
      subject: request,
      host: request.headers.host ?? '',
      isSecure: 'encrypted' in request.socket,
      parsedBody: undefined,
    });
    return serve((request.url ?? '').split('?', 1)[0] ?? '', request, response, caller) !== undefined;
  };
  return Object.assign(middleware, { handle });
}

type Part = 'document' | 'events';

interface Caller extends Pick<Access, 'host' | 'isSecure' | 'parsedBody'> {
  readonly subject: PageRequest;
}

function partOf(path: string, pathname: string): Part | undefined {
  const base = path.replace(/\/$/, '');
  if (pathname === base || pathname === `${base}/`) return 'document';
  return pathname === `${base}/events` ? 'events' : undefined;
}

function checkOptions({ path, title, details = 'public', authorize }: StatusPageOptions): void {
  if (path !== undefined && (typeof path !== 'string' || !/^\/[^?#]*$/.test(path))) {
    throw new ConfigurationError(`Expected \`path\` of ${SUBJECT} to begin with "/" and to have no query, got ${show(path)}.`);
  }
  if (title !== undefined && (typeof title !== 'string' || title === '')) {
    throw new ConfigurationError(`Expected \`title\` of ${SUBJECT} to be a string that is not empty, got ${show(title)}.`);
  }
  if (typeof details !== 'function') checkOneOf(SUBJECT, 'details', details, ['public', 'all']);
  if (authorize !== undefined && typeof authorize !== 'function') {
    throw new ConfigurationError(`Expected \`authorize\` of ${SUBJECT} to be a function, got ${show(authorize)}.`);
  }
}
