import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { toOneLine } from '../errors.js';
import type { ProbeRegistry } from '../registry/registry.js';

/** Forms of the page are far below this. */
const LONGEST_BODY = 4_096;
const LONGEST_REASON = 200;
const LONGEST_WHO = 100;
const LONGEST_MAINTENANCE_MINUTES = 1_440;
const COOKIE = 'koa-probes-page';

/** What became of a request to act: a status code, and a sentence for the person who asked. */
export interface Outcome {
  readonly status: number;
  readonly message: string;
}

/** Ties a form to the browser that it was sent to, so that another site cannot send it. */
export class FormTokens {
  readonly #secret = randomBytes(32);

  /** The cookie of the browser, or a new one, and the token that belongs to it. */
  issue(request: IncomingMessage): { readonly token: string; readonly cookie: string | undefined } {
    const known = readCookie(request);
    const id = known ?? randomBytes(16).toString('hex');
    return { token: this.#sign(id), cookie: known === undefined ? `${COOKIE}=${id}; Path=/; HttpOnly; SameSite=Strict` : undefined };
  }

  isValid(request: IncomingMessage, token: string | null): boolean {
    const id = readCookie(request);
    if (id === undefined || token === null) return false;
    const [expected, given] = [Buffer.from(this.#sign(id)), Buffer.from(token)];
    return expected.length === given.length && timingSafeEqual(expected, given);
  }

  #sign(id: string): string {
    return createHmac('sha256', this.#secret).update(id).digest('hex');
  }
}

function readCookie({ headers }: IncomingMessage): string | undefined {
  return new RegExp(`(?:^|;\\s*)${COOKIE}=([0-9a-f]{32})(?:;|$)`).exec(headers.cookie ?? '')?.[1];
}

/** Whether the request comes from a page of the host that it was sent to. A browser says where a form comes from; what does not say it is refused. */
export function isSameOrigin({ headers }: IncomingMessage, host: string): boolean {
  const { origin } = headers;
  if (origin === undefined || host === '') return false;
  try {
    return new URL(origin).host === new URL(`http://${host}`).host || new URL(origin).host === new URL(`https://${host}`).host;
  } catch {
    return false;
  }
}

/** The fields of a form. Undefined if there are too many, or if it is no form. `parsed` is what a body parser of the application has made of it. */
export async function readForm(request: IncomingMessage, parsed: unknown): Promise<URLSearchParams | undefined> {
  if (!/^application\/x-www-form-urlencoded\b/i.test(request.headers['content-type'] ?? '')) return undefined;
  if (typeof parsed === 'object' && parsed !== null)
    return new URLSearchParams(Object.entries(parsed).map(([name, value]): [string, string] => [name, String(value)]));
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > LONGEST_BODY) return undefined;
    chunks.push(chunk);
  }
  return new URLSearchParams(Buffer.concat(chunks).toString('utf8'));
}

/** What the buttons of the page do. Each action is logged with who did it. */
export class Actions {
  readonly #maintenance = new Set<() => void>();

  constructor(private readonly probes: ProbeRegistry) {}

  /** Whether a maintenance that was started here goes on. */
  get isInMaintenance(): boolean {
    return this.#maintenance.size > 0;
  }

  perform(form: URLSearchParams, who: string): Outcome {
    const by = `by ${toOneLine(who.slice(0, LONGEST_WHO))} on the status page`;
    const reason = toOneLine((form.get('reason') ?? '').trim().slice(0, LONGEST_REASON));
    switch (form.get('action') ?? '') {
      case 'off':
        return reason === '' ? NO_REASON : this.#switchOff(reason, by);
      case 'on':
        return this.#switchOn(by);
      case 'maintenance':
        return reason === '' ? NO_REASON : this.#startMaintenance(reason, form.get('minutes') ?? '', by);
      case 'end-maintenance':
        return this.#endMaintenance(by);
      case 'run':
        return this.#run(form.get('probe') ?? '', by);
      default:
        return { status: 400, message: 'There is no such action.' };
    }
  }

  /** Readiness is not held off by a page that is gone. */
  stop(): void {
    for (const end of this.#maintenance) end();
  }

  #switchOff(reason: string, by: string): Outcome {
    this.probes.logger.warn(`readiness was switched off ${by}: ${reason}`);
    this.probes.lifecycle.setReady(false, reason);
    return { status: 200, message: 'Readiness is off.' };
  }

  #switchOn(by: string): Outcome {
    if (this.probes.lifecycle.state === 'draining') return { status: 409, message: 'The application is draining: readiness stays off.' };
    this.probes.logger.info(`readiness was switched on ${by}`);
    this.probes.lifecycle.setReady(true);
    return { status: 200, message: 'Readiness is no longer switched off.' };
  }

  #startMaintenance(reason: string, given: string, by: string): Outcome {
    const minutes = Number(given);
    if (!Number.isInteger(minutes) || minutes < 0 || minutes > LONGEST_MAINTENANCE_MINUTES) {
      return {
        status: 400,
        message: `Expected a whole number of minutes up to ${String(LONGEST_MAINTENANCE_MINUTES)}, or none for no limit.`,
      };
    }
    const limit = minutes === 0 ? 'until it is ended' : `for ${String(minutes)} min`;
    this.probes.logger.warn(`maintenance was started ${by}, ${limit}: ${reason}`);
    const release = this.probes.lifecycle.hold(`maintenance: ${reason}`);
    let timer: NodeJS.Timeout | undefined;
    const end = () => {
      clearTimeout(timer);
      this.#maintenance.delete(end);
      release();
    };
    this.#maintenance.add(end);
    if (minutes > 0) timer = setTimeout(() => this.#expire(end, reason), minutes * 60_000).unref();
    return { status: 200, message: `Maintenance has started, ${limit}.` };
  }

  #expire(end: () => void, reason: string): void {
    this.probes.logger.info(`maintenance is over, its time has passed: ${reason}`);
    end();
  }

  #endMaintenance(by: string): Outcome {
    if (this.#maintenance.size === 0) return { status: 409, message: 'No maintenance was started on this page.' };
    this.probes.logger.info(`maintenance was ended ${by}`);
    this.stop();
    return { status: 200, message: 'Maintenance has ended.' };
  }

  #run(name: string, by: string): Outcome {
    if (!this.probes.runNow(name)) return { status: 404, message: 'There is no probe of that name.' };
    this.probes.logger.info(`the probe ${JSON.stringify(name)} was run ${by}`);
    return { status: 200, message: `${name} is being run.` };
  }
}

const NO_REASON: Outcome = { status: 400, message: 'Give a reason.' };
