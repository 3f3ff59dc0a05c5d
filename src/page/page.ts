import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ShutdownProgress } from '../lifecycle/lifecycle.js';
import type { ProbeRegistry } from '../registry/registry.js';
import { Actions, FormTokens, isSameOrigin, readForm, type Outcome } from './actions.js';
import { CONTENT_SECURITY_POLICY } from './content-security-policy.js';
import { History } from './history.js';
import { idOf, renderDocument, renderFragments, renderRuns, runsIdOf, titleOf, toneOf, type Fragments, type Frame } from './render.js';
import { Streams } from './streams.js';
import { takeView, type PageView, type StateWord, type Viewer } from './view.js';

/** Changes within this time are told together. */
const GATHER_MS = 250;
/** The figures of the runs are told no more often than this, and less often if there are many probes: a browser gets some 50 KB/s at most. */
const FIGURES_EVERY_MS = 1_000;
const FIGURES_EVERY_MS_A_PROBE = 10;

/** What one request is allowed. */
export interface Access extends Viewer {
  /** Who acts. Undefined if the caller may not act. */
  readonly who: string | undefined;
  /** The host that was asked for. */
  readonly host: string;
  readonly isSecure: boolean;
  /** The body, if something has read it already. */
  readonly parsedBody: unknown;
}

/** The status page of one registry. It knows no framework. */
export class Page {
  readonly #history: History;
  readonly #actions: Actions;
  readonly #tokens = new FormTokens();
  readonly #instance = randomUUID();
  readonly #streams = new Streams();
  /** Probes whose figures have changed since they were told. */
  readonly #ran = new Set<string>();
  #shutdown: ShutdownProgress | undefined;
  #state: { readonly word: StateWord; readonly since: number };
  #changesTimer: NodeJS.Timeout | undefined;
  #figuresTimer: NodeJS.Timeout | undefined;
  #figuresDueAt = -Infinity;

  constructor(
    private readonly probes: ProbeRegistry,
    private readonly title: string,
  ) {
    this.#actions = new Actions(probes);
    this.#history = new History(probes, (probe) => this.#onNews(probe));
    this.#state = { word: this.#view(PUBLIC).state, since: Date.now() };
    probes.on('shutdown', (progress) => {
      this.#shutdown = progress;
      // An open stream is a request in flight, and the shutdown would wait for it.
      if (progress.phase === 'draining') this.#onNews(undefined);
      else this.#end();
    });
    probes.once('close', () => {
      this.#end();
      this.#history.stop();
      this.#actions.stop();
    });
  }

  get hasEnded(): boolean {
    return this.probes.isClosed || (this.#shutdown !== undefined && this.#shutdown.phase !== 'draining');
  }

  sendDocument(request: IncomingMessage, response: ServerResponse, { audience, mayAct, isSecure }: Access): void {
    const viewer = { audience, mayAct };
    const form = mayAct ? this.#tokens.issue(request) : undefined;
    if (form?.cookie !== undefined) response.appendHeader('Set-Cookie', `${form.cookie}${isSecure ? '; Secure' : ''}`);
    const document = renderDocument(this.#view(viewer), viewer, this.#frame(form?.token));
    const headers = { ...HEADERS, 'Content-Type': 'text/html; charset=utf-8', 'Content-Length': String(Buffer.byteLength(document)) };
    response.writeHead(200, headers).end(request.method === 'HEAD' ? undefined : document);
  }

  /** The stream of what changes. */
  openStream(response: ServerResponse, { audience, mayAct }: Access): void {
    // 204 tells the browser not to try again.
    if (this.hasEnded) return void response.writeHead(204, HEADERS).end();
    const viewer = { audience, mayAct };
    const view = this.#view(viewer);
    const parts = renderFragments(view, viewer, this.#state);
    if (!this.#streams.add(response, viewer, parts)) return sendText(response, { status: 503, message: 'Too many pages are open.' });
    this.#streams.send(response, 'update', this.#newsOf(view, parts, parts));
  }

  async act(request: IncomingMessage, response: ServerResponse, { who, host, parsedBody }: Access): Promise<void> {
    const outcome = await this.#perform(request, who, host, parsedBody);
    const isByScript = !(request.headers.accept ?? '').includes('text/html');
    if (isByScript || outcome.status !== 200) return sendText(response, outcome);
    // Without a script the browser shows the page again. Relative to itself: the application may be mounted anywhere.
    response.writeHead(303, { ...HEADERS, Location: '?' }).end();
  }

  async #perform(request: IncomingMessage, who: string | undefined, host: string, parsedBody: unknown): Promise<Outcome> {
    if (who === undefined) return { status: 403, message: 'You may not do this: `authorize` of statusPage() refused the request.' };
    if (!isSameOrigin(request, host)) return { status: 403, message: 'Refused: the request does not come from this page.' };
    const form = await readForm(request, parsedBody);
    if (form === undefined) return { status: 400, message: 'Refused: this is not the form of the page.' };
    if (!this.#tokens.isValid(request, form.get('token'))) return { status: 403, message: 'The page is out of date. Load it again.' };
    return this.#actions.perform(form, who);
  }

  #view(viewer: Viewer): PageView {
    return takeView(this.probes, this.#history, this.#shutdown, viewer);
  }

  #frame(token: string | undefined): Frame {
    return { title: this.title, instance: this.#instance, token, since: this.#state.since };
  }

  #onNews(probe: string | undefined): void {
    if (probe === undefined) {
      const { state: word } = this.#view(PUBLIC);
      if (word !== this.#state.word) this.#state = { word, since: Date.now() };
    }
    if (this.#streams.isEmpty) return;
    if (probe === undefined) this.#changesTimer ??= setTimeout(() => this.#tell(), GATHER_MS).unref();
    else {
      this.#ran.add(probe);
      const waitMs = Math.max(GATHER_MS, this.#figuresDueAt - performance.now());
      this.#figuresTimer ??= setTimeout(() => this.#tell(true), waitMs).unref();
    }
  }

  /** What has changed, and if it is time, the figures of the probes that have run. Each part is made once for all who see the same. */
  #tell(isTimeForFigures = performance.now() >= this.#figuresDueAt): void {
    clearTimeout(this.#changesTimer);
    this.#changesTimer = undefined;
    const ran = isTimeForFigures ? this.#takeRan() : NONE;
    this.#streams.broadcast((viewer, known) => {
      const view = this.#view(viewer);
      const parts = renderFragments(view, viewer, this.#state);
      const changed = new Map([...parts].filter(([id, part]) => isNews(id, part.markup, known.get(id)?.markup)));
      for (const probe of view.probes) {
        if (ran.has(probe.name) && !changed.has(idOf(probe.name))) changed.set(runsIdOf(probe.name), renderRuns(probe));
      }
      return { news: changed.size === 0 ? undefined : this.#newsOf(view, parts, changed), parts };
    });
  }

  #takeRan(): ReadonlySet<string> {
    clearTimeout(this.#figuresTimer);
    this.#figuresTimer = undefined;
    this.#figuresDueAt = performance.now() + Math.max(FIGURES_EVERY_MS, this.#history.probes * FIGURES_EVERY_MS_A_PROBE);
    const ran = new Set(this.#ran);
    this.#ran.clear();
    return ran;
  }

  #newsOf(view: PageView, all: Fragments, changed: Fragments): object {
    const order = [...all.keys()].filter((id) => id.startsWith('probe-'));
    const parts = Object.fromEntries([...changed].map(([id, { markup }]) => [id, markup]));
    const flags = { tone: toneOf(view), off: String(view.switchedOff !== undefined), held: String(this.#actions.isInMaintenance) };
    return { instance: this.#instance, order, parts, title: titleOf(view, this.title), flags };
  }

  #end(): void {
    if (!this.#streams.isEmpty) this.#tell();
    clearTimeout(this.#figuresTimer);
    this.#streams.end();
  }
}

const NONE: ReadonlySet<string> = new Set();

/** What needs no audience. */
const PUBLIC: Viewer = { audience: 'public', mayAct: false };

const HEADERS = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': CONTENT_SECURITY_POLICY,
  // Not `no-referrer`: the browser would send the forms without saying where they come from.
  'Referrer-Policy': 'same-origin',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
} as const;

export function sendText(response: ServerResponse, { status, message }: Outcome): void {
  if (response.headersSent) return;
  const body = `${message}\n`;
  response
    .writeHead(status, { ...HEADERS, 'Content-Type': 'text/plain; charset=utf-8', 'Content-Length': String(Buffer.byteLength(body)) })
    .end(body);
}

/** The figures of runs in the part of a probe are no news: they have a part of their own. */
function isNews(id: string, markup: string, known: string | undefined): boolean {
  if (known === undefined || !id.startsWith('probe-')) return markup !== known;
  return withoutRuns(markup) !== withoutRuns(known);
}

function withoutRuns(markup: string): string {
  const from = markup.indexOf('<div class="runs"');
  return from === -1 ? markup : markup.slice(0, from) + markup.slice(markup.indexOf('</div>', from));
}
