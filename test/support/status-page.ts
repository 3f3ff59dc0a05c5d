import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import Koa from 'koa';
import { ProbeRegistry, type ProbeDefinition } from 'koa-probes';
import { statusPage, type StatusPageOptions } from 'koa-probes/page';
import { serve, type Answer } from './http.js';
import { MemoryLogger } from './probes.js';

export interface Mounted {
  readonly probes: ProbeRegistry;
  readonly lines: string[];
  readonly url: string;
}

const registries: ProbeRegistry[] = [];

export function closeRegistries(): void {
  for (const registry of registries.splice(0)) registry.close();
}

/** A Koa application with the page and these readiness probes. */
export async function mountPage(
  checks: Readonly<Record<string, ProbeDefinition['check']>>,
  options: StatusPageOptions = {},
): Promise<Mounted> {
  const logger = new MemoryLogger();
  const probes = new ProbeRegistry({ logger });
  registries.push(probes);
  for (const [name, check] of Object.entries(checks)) probes.register({ name, kinds: ['readiness'], check });
  const app = new Koa().use(statusPage(probes, options)).use((ctx) => {
    ctx.body = 'the application';
  });
  app.silent = true;
  return { probes, lines: logger.lines, url: await serve((...exchange) => void app.callback()(...exchange)) };
}

export const asAda: StatusPageOptions = { authorize: () => 'ada' };

/** An open event stream of the page. */
export interface Stream {
  /** What has come so far. */
  text(): string;
  readonly hasEnded: () => boolean;
  readonly response: IncomingMessage;
  close(): void;
}

export async function openStream(url: string): Promise<Stream> {
  const sent = request(`${url}/probes/events`, { agent: false });
  sent.end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  let text = '';
  let hasEnded = false;
  response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  response.on('close', () => (hasEnded = true)).on('error', () => {});
  return { text: () => text, hasEnded: () => hasEnded, response, close: () => sent.destroy() };
}

/** The cookie and the token that a browser gets with the page. */
export function readForm({ headers, body }: Answer): { cookie: string; token: string } {
  const [cookie = ''] = /^[^;]*/.exec(headers['set-cookie']?.[0] ?? '') ?? [];
  const [, token = ''] = /name="token" value="([^"]*)"/.exec(body) ?? [];
  return { cookie, token };
}

/** Sends a form, as the page does. */
export async function send(url: string, fields: Record<string, string>, headers: Record<string, string>): Promise<Answer> {
  const body = new URLSearchParams(fields).toString();
  const sent = request(`${url}/probes`, {
    agent: false,
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', 'content-length': Buffer.byteLength(body), ...headers },
  });
  sent.end(body);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  let received = '';
  for await (const chunk of response) received += String(chunk);
  return { status: response.statusCode ?? 0, headers: response.headers, body: received };
}

/** Why the application itself is not ready, with its probes left aside. */
export async function reasonNotReady(probes: ProbeRegistry): Promise<string | undefined> {
  return (await probes.run('readiness', { only: 'lifecycle' })).results[0]?.failure?.reason;
}
