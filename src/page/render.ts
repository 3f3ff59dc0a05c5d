import { hostname } from 'node:os';
import { WITHHELD } from '../report/failure.js';
import { showCount, showDuration } from '../registry/duration.js';
import { html, Html } from './html.js';
import type { PastChange, PastRun } from './history.js';
import { CLIENT_SCRIPT } from './client-script.js';
import { STYLE } from './style.js';
import type { KindView, PageView, ProbeStatusWord, ProbeView, StateWord, Viewer } from './view.js';

/** Parts of the document by the `id` of their element. Each is sent again when it has changed. */
export type Fragments = ReadonlyMap<string, Html>;

export interface Frame {
  readonly title: string;
  /** Tells this process from one that answers after a restart. */
  readonly instance: string;
  /** What a form must send back. Undefined if there are no buttons. */
  readonly token: string | undefined;
  /** When the state began. */
  readonly since: number;
}

/** With more probes than this, the browser lays out only those that it shows. */
const MANY = 100;
const LIST = new Intl.ListFormat('en');

/** Names in the first lines. */
const MOST_NAMES = 3;

const STATE: Readonly<Record<StateWord, { readonly tone: string; readonly text: string }>> = {
  ready: { tone: 'pass', text: 'Ready' },
  degraded: { tone: 'warn', text: 'Ready, but degraded' },
  unknown: { tone: 'unknown', text: 'Not probed yet' },
  starting: { tone: 'warn', text: 'Starting' },
  draining: { tone: 'warn', text: 'Draining' },
  'not ready': { tone: 'fail', text: 'Not ready' },
  down: { tone: 'fail', text: 'Not live' },
};

const WORDS: Readonly<Record<ProbeStatusWord, { readonly mark: string; readonly text: string }>> = {
  fail: { mark: '✕', text: 'failing' },
  warn: { mark: '!', text: 'degraded' },
  unknown: { mark: '?', text: 'not run yet' },
  pass: { mark: '✓', text: 'passing' },
};

/** Their content exactly as it is: its hash is in the Content-Security-Policy. */
const STYLE_ELEMENT = new Html(`<style>${STYLE}</style>`);
const SCRIPT_ELEMENT = new Html(`<script>${CLIENT_SCRIPT}</script>`);

/** The whole document. It needs no other file. */
export function renderDocument(view: PageView, viewer: Viewer, frame: Frame): string {
  const parts = renderFragments(view, viewer, frame);
  const part = (id: string) => parts.get(id);
  const { tone, text } = STATE[view.state];
  const document = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${titleOf(view, frame.title)}</title>
        <link rel="icon" href="data:," />
        ${STYLE_ELEMENT}
      </head>
      <body
        data-instance="${frame.instance}"
        data-tone="${tone}"
        data-off="${String(view.switchedOff !== undefined)}"
        data-held="${String(view.holds.length > 0)}"
      >
        <a class="skip" href="#probes">Skip to the probes</a>
        <p id="link" role="alert" hidden></p>
        <header>
          <p class="service">${frame.title}</p>
          <h1 id="state" role="status" aria-label="State: ${text}">${part('state')}</h1>
          <p id="why" class="why">${part('why')}</p>
          <div id="kinds">${part('kinds')}</div>
        </header>
        <main>
          <div id="shutdown">${part('shutdown')}</div>
          <section aria-labelledby="probes">
            <div class="title">
              <h2 id="probes" tabindex="-1">Probes</h2>
              <p id="counts">${part('counts')}</p>
              <label class="filter" hidden>Filter <input type="search" id="filter" autocomplete="off" /></label>
            </div>
            <ol id="list" class="list${view.probes.length > MANY && ' many'}">
              ${view.probes.map(({ name }) => html`<li id="${idOf(name)}">${part(idOf(name))}</li>`)}
            </ol>
          </section>
          ${viewer.mayAct && frame.token !== undefined && renderActions(frame.token)}
          <section aria-labelledby="changes-title">
            <h2 id="changes-title">Changes</h2>
            <ol id="changes" class="changes">
              ${part('changes')}
            </ol>
          </section>
        </main>
        <footer>
          ${viewer.audience === 'operator' && html`<p>${hostname()}, process ${process.pid}, Node.js ${process.version}</p>`}
          <p>Looking at this page runs no probe. <span id="at">As of ${renderTime(Date.now())}.</span></p>
        </footer>
        ${SCRIPT_ELEMENT}
      </body>
    </html>`;
  return document.markup;
}

/** The parts that change. */
export function renderFragments(view: PageView, viewer: Viewer, { since }: Pick<Frame, 'since'>): Fragments {
  const fragments = new Map<string, Html>();
  fragments.set('state', html`${STATE[view.state].text} <small>since ${renderTime(since)}</small>`);
  fragments.set('why', html`${whyOf(view.probes)}`);
  fragments.set(
    'kinds',
    html`<ul>
      ${view.kinds.map(renderKind)}
    </ul>`,
  );
  fragments.set('counts', html`${countsOf(view.probes)}`);
  fragments.set('shutdown', renderShutdown(view) ?? html``);
  for (const probe of view.probes) fragments.set(idOf(probe.name), renderProbe(probe, viewer));
  fragments.set('changes', renderChanges(view.changes, viewer));
  return fragments;
}

/** The part of a probe that changes with each run. It stands in the part of the probe. */
export function renderRuns(probe: ProbeView): Html {
  const { runs, lastMs, typicalMs, description } = probe;
  const { timeoutMs } = description.options;
  if (lastMs === undefined) return html`<span class="quiet">timeout ${showDuration(timeoutMs)}</span>`;
  return html`${runs.length > 0 && renderPlot(runs, timeoutMs)}<span class="times"
      ><b>${showTime(lastMs)}</b>${typicalMs !== undefined && html`, typically ${showTime(typicalMs)}`}, timeout
      ${showDuration(timeoutMs)}</span
    >`;
}

export function titleOf({ state, probes }: PageView, title: string): string {
  const failing = probes.filter(({ status }) => status === 'fail').length;
  return `${failing > 0 ? `(${String(failing)}) ` : ''}${STATE[state].text} – ${title}`;
}

export function toneOf({ state }: PageView): string {
  return STATE[state].tone;
}

/** The `id` of the element of a probe. A name has only characters that an `id` may have. */
export function idOf(name: string): string {
  return `probe-${name}`;
}

export function runsIdOf(name: string): string {
  return `runs-${name}`;
}

function renderKind({ kind, status, reason }: KindView): Html {
  const word = { liveness: 'live', readiness: 'ready', startup: 'started' }[kind];
  const text = { pass: word, warn: `${word}, degraded`, fail: `not ${word}`, unknown: `${word}: unknown` }[status];
  return html`<li class="kind ${status}">
    <span class="mark" aria-hidden="true">${WORDS[status].mark}</span>
    ${text}${reason !== undefined && html`<span class="reason"><bdi>${reason}</bdi></span>`}
  </li>`;
}

/** The first thing to read: which probes are down. */
function whyOf(probes: readonly ProbeView[]): string {
  const failing = probes.filter(({ status }) => status === 'fail').map(({ name }) => name);
  if (failing.length === 0) return '';
  const more = failing.length - MOST_NAMES;
  const names = more > 0 ? [...failing.slice(0, MOST_NAMES), `${String(more)} more`] : failing;
  return `${LIST.format(names)} ${failing.length === 1 ? 'is' : 'are'} failing.`;
}

function countsOf(probes: readonly ProbeView[]): string {
  const counts = (['fail', 'warn', 'unknown', 'pass'] as const).map((status) => {
    const count = probes.filter((probe) => probe.status === status).length;
    return count > 0 && `${String(count)} ${WORDS[status].text}`;
  });
  return counts.filter(Boolean).join(', ') || 'There are no probes.';
}

function renderProbe(probe: ProbeView, { mayAct }: Viewer): Html {
  const { name, kinds, status, reason, since, passedAt, hangingRuns } = probe;
  const { mark, text } = WORDS[status];
  return html`<article class="probe ${status}" aria-labelledby="name-${name}">
    <span class="mark" aria-hidden="true">${mark}</span>
    <div>
      <h3 id="name-${name}"><bdi>${name}</bdi></h3>
      <p class="quiet">${kinds.join(', ')}</p>
    </div>
    <div>
      <p class="word">${text}</p>
      ${status !== 'unknown' && since !== undefined && html`<p class="quiet">since ${renderTime(since)}</p>`}
    </div>
    <div class="runs" id="${runsIdOf(name)}">${renderRuns(probe)}</div>
    ${mayAct && html`<button form="run" name="probe" value="${name}" class="small">Run now<span class="hidden"> ${name}</span></button>`}
    ${renderOptions(probe)}
    ${reason !== undefined && html`<p class="reason"><bdi>${reason}</bdi>${reason === WITHHELD && html`<span class="quiet"> Those whom <code>details</code> of <code>statusPage()</code> allows read the reason here. It is in the log.</span>`}</p>`}
    ${hangingRuns > 0 && html`<p class="more">${showCount(hangingRuns, 'run')} timed out and still did not settle.</p>`}
    ${status !== 'pass' && html`<p class="more quiet">${passedAt === undefined ? 'It has not passed yet.' : html`It passed last at ${renderTime(passedAt)}.`}</p>`}
  </article>`;
}

function renderOptions({ name, description }: ProbeView): Html {
  const { className, options, sources } = description;
  const rows = Object.entries(options).map(([option, value]) => {
    const source = sources[option as keyof typeof sources];
    return html`<tr class="${source === 'default' ? 'default' : 'set'}">
      <th scope="row">${option}</th>
      <td>${String(value)}</td>
      <td>${source}</td>
    </tr>`;
  });
  return html`<details>
    <summary>Options<span class="hidden"> of ${name}</span></summary>
    ${className !== undefined && html`<p>Class <code>${className}</code></p>`}
    <table>
      <thead>
        <tr>
          <th scope="col">Option</th>
          <th scope="col">Value</th>
          <th scope="col">Set by</th>
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>
  </details>`;
}

const PLOT = { height: 24, step: 4, runs: 40 } as const;

/** A bar for each run, as high as its share of the timeout. */
function renderPlot(runs: readonly PastRun[], timeoutMs: number): Html {
  const first = PLOT.runs - runs.length;
  const bars: Record<string, string> = { pass: '', fail: '', timeout: '' };
  for (const [index, { outcome, durationMs }] of runs.entries()) {
    const height = Math.max(2, Math.round(Math.min(1, durationMs / timeoutMs) * PLOT.height));
    bars[outcome] += `M${String((first + index) * PLOT.step + 2)} ${String(PLOT.height)}v-${String(height)}`;
  }
  const failed = runs.filter(({ outcome }) => outcome !== 'pass').length;
  const label = `The last ${showCount(runs.length, 'run')}: ${failed === 0 ? 'all passed' : `${String(failed)} failed`}`;
  const paths = Object.entries(bars).map(([outcome, bar]) => bar !== '' && html`<path class="${outcome}" d="${bar}" />`);
  return html`<svg role="img" aria-label="${label}" viewBox="0 0 160 24" width="160" height="24">
    <path class="limit" d="M0 .5h160" />
    ${paths}
  </svg>`;
}

function renderChanges(changes: readonly PastChange[], { audience }: Viewer): Html {
  if (changes.length === 0) return html`<li class="quiet">There has been no change since this page was set up.</li>`;
  return html`${changes.map((change) => renderChange(change, audience === 'operator' ? change.detail : change.reason))}`;
}

function renderChange({ time, name, kinds, status, previous }: PastChange, reason: string | undefined): Html {
  const word = WORDS[status as ProbeStatusWord]?.text ?? status;
  const subject = name === 'lifecycle' ? `lifecycle (${kinds.join(', ')})` : name;
  return html`<li class="${status}">
    ${renderTime(time)}
    <b><bdi>${subject}</bdi></b>
    ${status === previous ? `still ${word}` : word}${reason !== undefined && html`<span class="reason"><bdi>${reason}</bdi></span>`}
  </li>`;
}

/** While the application shuts down: where it is, and what it waits for. */
function renderShutdown({ state, shutdown, holds, switchedOff }: PageView): Html | undefined {
  if (shutdown === undefined) {
    const isHeld = holds.length > 0 || switchedOff !== undefined;
    return state === 'draining' || !isHeld
      ? undefined
      : html`<section class="notice">
          <h2>Readiness is held off</h2>
          <ul>
            ${switchedOff !== undefined && html`<li>It is switched off: <bdi>${switchedOff}</bdi></li>`}${holds.map((reason) => html`<li><bdi>${reason}</bdi></li>`)}
          </ul>
        </section>`;
  }
  const { phase, reason, elapsedMs, requests, longRequests, connections, upgradedConnections, work, hooks } = shutdown;
  const waits = [
    requests > 0 &&
      `${showCount(requests, 'request')} in flight${longRequests > 0 ? `, ${String(longRequests)} for more than a minute` : ''}`,
    connections > 0 &&
      `${showCount(connections, 'open connection')}${upgradedConnections > 0 ? `, ${String(upgradedConnections)} upgraded` : ''}`,
    ...work.map((name) => `work: ${name}`),
    ...hooks.map((name) => `hook, not begun: ${name}`),
  ];
  return html`<section class="notice">
    <h2>Shutting down: ${phase}</h2>
    <p>${reason}, ${showDuration(elapsedMs)} after the signal.</p>
    <ul>
      ${waits.map((line) => line !== false && html`<li><bdi>${line}</bdi></li>`)}
    </ul>
  </section>`;
}

function renderActions(token: string): Html {
  const hidden = (action: string) =>
    html`<input type="hidden" name="token" value="${token}" /><input type="hidden" name="action" value="${action}" />`;
  return html`<section class="actions" aria-labelledby="actions-title">
    <h2 id="actions-title">Actions</h2>
    <p id="said" role="status"></p>
    <form method="post" id="run">${hidden('run')}</form>
    <form method="post" class="when-on">
      ${hidden('off')}<label>Reason <input name="reason" required maxlength="200" /></label
      ><button class="danger">Switch readiness off</button>
    </form>
    <form method="post" class="when-off">${hidden('on')}<button>Switch readiness on</button></form>
    <form method="post">
      ${hidden('maintenance')}<label>Maintenance <input name="reason" required maxlength="200" placeholder="reason" /></label>
      <label
        >for
        <select name="minutes">
          <option value="5">5 minutes</option>
          <option value="30" selected>30 minutes</option>
          <option value="120">2 hours</option>
          <option value="">no limit</option>
        </select></label
      ><button class="danger">Start</button>
    </form>
    <form method="post" class="when-held">${hidden('end-maintenance')}<button>End maintenance</button></form>
  </section>`;
}

/** Exact, in UTC, until the script shows it in the time zone of the reader. */
function renderTime(time: number): Html {
  const iso = new Date(time).toISOString();
  return html`<time datetime="${iso}">${iso.slice(0, 19).replace('T', ' ')} UTC</time>`;
}

function showTime(durationMs: number): string {
  return durationMs < 1 ? '< 1 ms' : showDuration(durationMs);
}
