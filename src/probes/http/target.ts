import { validateHeaderName, validateHeaderValue, type Agent } from 'node:http';
import type { RequestOptions } from 'node:https';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { ConfigurationError, describeError } from '../../errors.js';
import { lookupOnce } from '../shared/lookup.js';
import { checkObject, checkOneOf, rejectUnknownOptions, show } from '../../validation.js';

type TlsOptions = Pick<RequestOptions, 'ca' | 'cert' | 'key' | 'passphrase' | 'pfx' | 'servername' | 'rejectUnauthorized'>;

/** A service and its expected answer. `ca`, `cert`, `key`, `passphrase`, `pfx`, `servername` and `rejectUnauthorized` are options of `node:https`. */
export interface HttpTarget extends TlsOptions {
  /** An absolute `http:` or `https:` URL. A user and a password in the URL are sent with Basic authentication. Messages contain neither of them, nor the query. */
  url: string | URL;
  /**
   * Method of the request: `GET` or `HEAD`.
   * @default 'GET'
   */
  method?: 'GET' | 'HEAD' | undefined;
  /**
   * The expected status: one or more whole numbers from 200 to 599, or a function that returns whether a status passes.
   * A redirect does not pass by default, because its target, for example a login page, says nothing about the service.
   * @default 200 to 299
   */
  status?: number | readonly number[] | ((status: number) => boolean) | undefined;
  /**
   * Headers of the request.
   * @default {}
   */
  headers?: Readonly<Record<string, string>> | undefined;
  /**
   * How many redirects are followed, 0 to 10. They are followed only within the origin of `url`, never to another host, port or scheme.
   * If the status of a redirect is expected, the check passes and does not follow it.
   * @default 0
   */
  maxRedirects?: number | undefined;
  /**
   * The agent for the connections. Without an agent, each request opens a new connection and closes it afterwards.
   * @default no agent
   */
  agent?: Agent | undefined;
}

/** `HttpTarget` with every default filled in. */
export interface ResolvedHttpTarget {
  readonly url: URL;
  readonly method: string;
  readonly isExpected: (status: number) => boolean;
  /** The expected status in a message: `200 to 299`. */
  readonly expected: string;
  readonly maxRedirects: number;
  readonly agent: Agent | undefined;
  readonly options: RequestOptions;
}

const TLS_NAMES = ['ca', 'cert', 'key', 'passphrase', 'pfx', 'servername', 'rejectUnauthorized'] as const;
const OPTION_NAMES: readonly string[] = ['url', 'method', 'status', 'headers', 'maxRedirects', 'agent', ...TLS_NAMES];
const MOST_REDIRECTS = 10;
const SUBJECT = 'an HTTP target';

/** @throws ConfigurationError if anything in the target is wrong */
export function resolveHttpTarget(target: HttpTarget): ResolvedHttpTarget {
  rejectUnknownOptions(SUBJECT, target, OPTION_NAMES);
  const { method = 'GET', maxRedirects = 0, headers = {}, agent } = target;
  checkOneOf(SUBJECT, 'method', method, ['GET', 'HEAD']);
  if (!Number.isInteger(maxRedirects) || maxRedirects < 0 || maxRedirects > MOST_REDIRECTS) {
    throw new ConfigurationError(
      `Expected \`maxRedirects\` of ${SUBJECT} to be a whole number from 0 to ${String(MOST_REDIRECTS)}, got ${show(maxRedirects)}.`,
    );
  }
  checkHeaders(headers);
  const url = parseUrl(target.url);
  if (agent !== undefined) checkAgent(agent, url);
  const tls = Object.fromEntries(TLS_NAMES.filter((name) => target[name] !== undefined).map((name) => [name, target[name]]));
  if (Object.keys(tls).length > 0) checkTls(tls);
  return {
    url,
    method,
    maxRedirects,
    agent,
    ...resolveStatus(target.status),
    options: { ...tls, method, headers: { ...headers }, agent: agent ?? false, lookup: lookupOnce },
  };
}

/** The value does not appear in the message, because it may contain a password. */
function parseUrl(value: string | URL): URL {
  const url = URL.canParse(String(value)) ? new URL(value) : undefined;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url;
  const got = url === undefined ? 'something that is not a URL' : `a URL with ${url.protocol}`;
  throw new ConfigurationError(
    `Expected \`url\` of ${SUBJECT} to be an absolute http: or https: URL, got ${got}. Example: 'http://search:9200/'.`,
  );
}

function checkHeaders(headers: unknown): void {
  checkObject(`\`headers\` of ${SUBJECT}`, headers);
  for (const [name, value] of Object.entries(headers)) {
    try {
      validateHeaderName(name);
      validateHeaderValue(name, value as string);
    } catch (error) {
      throw new ConfigurationError(`Expected \`headers\` of ${SUBJECT} to be valid HTTP headers: ${describeError(error)}.`);
    }
  }
}

/** An agent for the wrong protocol would fail each request. Only an own `protocol` property is read, because the getter of a proxy agent depends on its caller. */
function checkAgent(agent: unknown, { protocol }: URL): void {
  const isAgent = typeof agent === 'object' && agent !== null && 'addRequest' in agent;
  const own: unknown = isAgent ? Object.getOwnPropertyDescriptor(agent, 'protocol')?.value : undefined;
  if (isAgent && (own === undefined || own === protocol)) return;
  throw new ConfigurationError(
    `Expected \`agent\` of ${SUBJECT} to be an Agent of node:${protocol.slice(0, -1)}, got ${typeof own === 'string' ? `an agent for ${own}` : show(agent)}.`,
  );
}

/** Validates the TLS options early. Node checks some of them only after a connection has been established, and then the error cannot be caught. */
function checkTls(options: SecureContextOptions & Pick<RequestOptions, 'servername' | 'rejectUnauthorized'>): void {
  const { servername = '', rejectUnauthorized = true } = options;
  if (typeof servername !== 'string') {
    throw new ConfigurationError(`Expected \`servername\` of ${SUBJECT} to be a string, got ${show(servername)}.`);
  }
  if (typeof rejectUnauthorized !== 'boolean') {
    throw new ConfigurationError(`Expected \`rejectUnauthorized\` of ${SUBJECT} to be true or false, got ${show(rejectUnauthorized)}.`);
  }
  try {
    createSecureContext(options);
  } catch (error) {
    throw new ConfigurationError(
      `Expected \`ca\`, \`cert\`, \`key\` and \`pfx\` of ${SUBJECT} to be usable for TLS: ${describeError(error)}.`,
    );
  }
}

function resolveStatus(status: HttpTarget['status']): Pick<ResolvedHttpTarget, 'isExpected' | 'expected'> {
  if (status === undefined) return { isExpected: (one) => one >= 200 && one <= 299, expected: '200 to 299' };
  if (typeof status === 'function') return { isExpected: (one) => status(one), expected: 'a status that `status` accepts' };
  const statuses = typeof status === 'number' ? [status] : status;
  const isList = Array.isArray(statuses) && statuses.length > 0;
  if (isList && statuses.every((one) => Number.isInteger(one) && one >= 200 && one <= 599)) {
    return { isExpected: (one) => statuses.includes(one), expected: statuses.join(' or ') };
  }
  throw new ConfigurationError(
    `Expected \`status\` of ${SUBJECT} to be one or more whole numbers from 200 to 599, or a function, got ${show(isList ? statuses.join() : status)}.`,
  );
}
