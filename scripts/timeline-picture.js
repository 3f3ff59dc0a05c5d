// The picture of docs/shutdown.md: what scripts/timeline-run.js has recorded in, SVG out.

const WIDTH = 1_000;
const LEFT = 150;
/** Room for the words beside the last bars. */
const RIGHT = 130;
const ROW = 22;
const BAR = 16;
const TOP = 92;

/** The lines on which the names stand: the last phases are too short to stand on one. */
const PHASE_LINES = { draining: 3, closing: 3, hooks: 1, deactivating: 2, exit: 3 };

/** Of a letter, and rather too much: who reads has another font. */
const LETTER = 7.5;

const STYLE = `
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.page { fill: #ffffff } .edge { stroke: #d1d9e0 } .phase { stroke: #59636e; stroke-dasharray: 3 3 }
.quiet { fill: #59636e } .small { font-size: 12px } .name { font-weight: 600 }
.good { fill: #b4e3bd } .bad { fill: #ffc1ba } .busy { fill: #b6d5fb } .idle { fill: #d8dee4 }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc } .page { fill: #0d1117 } .edge { stroke: #3d444d } .phase { stroke: #9198a1 } .quiet { fill: #9198a1 }
.good { fill: #1c5c2e } .bad { fill: #8c2b25 } .busy { fill: #1c4a85 } .idle { fill: #3d444d }
}`;

export function drawTimeline(run) {
  const phases = phasesOf(run);
  const lanes = lanesOf(run, phases);
  const fromMs = Math.min(...run.requests.map((request) => request.fromMs), ...run.idle.map((connection) => connection.fromMs));
  const x = scale(fromMs, run.exit.atMs);
  const bottom = TOP + lanes.flatMap(({ rows }) => rows).length * ROW + lanes.length * 6;
  const height = bottom + 34;
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="title description" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}">`,
    '<title id="title">A graceful shutdown over time</title>',
    `<desc id="description">${escape(describe(run, phases))}</desc>`,
    `<style>${STYLE}\n</style>`,
    `<rect class="page" width="${WIDTH}" height="${height}" rx="6"/>`,
    ...phases.map((phase) => drawPhase(phase, x(phase.atMs), bottom)),
    ...drawLanes(lanes, x),
    ...drawAxis(fromMs, run.exit.atMs, x, bottom),
    '</svg>',
  ].join('\n')}\n`;
}

/** The end of the process is one more, and takes the place of `finished`. */
function phasesOf({ phases, exit }) {
  return [
    ...phases.filter(({ phase }) => phase !== 'finished').map(({ phase, atMs }) => ({ name: phase, atMs })),
    { name: 'exit', atMs: exit.atMs },
  ];
}

function lanesOf(run, phases) {
  const atMs = Object.fromEntries(run.phases.map((phase) => [phase.phase, phase.atMs]));
  const chat = run.requests.find(({ label }) => label === 'WebSocket');
  const finished = atMs.finished ?? run.exit.atMs;
  return [
    { name: 'process', rows: [processBars(phases, run.exit)] },
    { name: 'liveness', rows: [runsOf(run.liveness, run.exit, ({ answer }) => answer, goodFor('200'))] },
    { name: 'readiness', rows: [runsOf(run.readiness, run.exit, ({ answer }) => answer, goodFor('200'))] },
    { name: 'new connections', rows: [runsOf(run.connects, run.exit, wasAccepted, goodFor('accepted'))] },
    { name: 'Connection:', rows: [runsOf(run.quick, run.exit, connectionHeader, headerClass)] },
    {
      name: 'in flight',
      rows: run.requests.map(({ label, fromMs, toMs, answer }) => [{ fromMs, toMs, kind: 'busy', text: `${label}: ${answer}` }]),
    },
    { name: 'idle connections', rows: run.idle.map(({ label, fromMs, toMs }) => [{ fromMs, toMs, kind: 'idle', text: label }]) },
    {
      name: 'hooks',
      rows: [
        [{ fromMs: atMs.closing, toMs: chat?.toMs ?? atMs.hooks, kind: 'busy', before: 'onClosing: websockets' }],
        [{ fromMs: atMs.hooks, toMs: atMs.deactivating, kind: 'busy', before: 'onShutdown: telemetry' }],
        [{ fromMs: atMs.deactivating, toMs: finished, kind: 'busy', before: 'the container: database' }],
      ],
    },
  ];
}

function processBars(phases, { atMs, code }) {
  const [first] = phases;
  const bars = phases.slice(0, -1).map((phase, at) => ({ fromMs: phase.atMs, toMs: phases[at + 1].atMs, kind: 'busy' }));
  return [
    { fromMs: -Infinity, toMs: first.atMs, kind: 'good', text: 'running' },
    ...bars,
    { fromMs: atMs, toMs: atMs, after: `exit code ${code}` },
  ];
}

/** Polls that saw the same are one bar, up to the first that saw something else. */
function runsOf(seen, exit, say, classify) {
  const bars = [];
  for (const poll of seen) {
    const text = say(poll);
    const last = bars.at(-1);
    if (last !== undefined) last.toMs = poll.atMs;
    if (last?.text !== text) bars.push({ fromMs: poll.atMs, toMs: exit.atMs, kind: classify(text), text });
  }
  if (bars.length > 0) bars.at(-1).toMs = exit.atMs;
  return bars;
}

const goodFor = (good) => (text) => (text === good ? 'good' : 'bad');
const wasAccepted = ({ answer }) => (answer === '200' ? 'accepted' : answer);
const connectionHeader = ({ answer, isLast }) => {
  if (answer !== '200') return 'no answers';
  return isLast ? 'close' : 'keep-alive';
};
const headerClass = (text) => ({ close: 'busy', 'keep-alive': 'good' })[text] ?? 'idle';

function describe({ exit, requests }, phases) {
  const steps = phases.map(({ name, atMs }) => `${name} at ${atMs} ms`).join(', ');
  const ends = requests.map(({ label, toMs, answer }) => `${label} until ${toMs} ms with ${answer}`).join(', ');
  return (
    `Recorded from a run of examples/shutdown. After SIGTERM: ${steps}, with code ${exit.code}. In flight: ${ends}. ` +
    'Of the probes, liveness is answered 200 all the time, and readiness 503 from the signal on. New connections are accepted while draining and refused afterwards.'
  );
}

function scale(fromMs, toMs) {
  const perMs = (WIDTH - LEFT - RIGHT) / (toMs - fromMs);
  return (ms) => round(LEFT + (Math.min(toMs, Math.max(fromMs, ms)) - fromMs) * perMs);
}

function drawLanes(lanes, x) {
  const drawn = [];
  let y = TOP;
  for (const { name, rows } of lanes) {
    drawn.push(`<path class="edge" d="M10 ${y - 3}H${WIDTH - 10}"/>`, `<text class="name" x="14" y="${y + 13}">${escape(name)}</text>`);
    for (const bars of rows) {
      for (const bar of bars) drawn.push(...drawBar(bar, x, y));
      y += ROW;
    }
    y += 6;
  }
  return drawn;
}

function drawBar({ fromMs, toMs, kind, text, before, after }, x, y) {
  const [left, right] = [x(fromMs), x(toMs)];
  const drawn = [];
  if (kind !== undefined) {
    drawn.push(`<rect class="${kind}" x="${left}" y="${y}" width="${round(Math.max(2, right - left))}" height="${BAR}" rx="2"/>`);
  }
  const fits = text !== undefined && text.length * LETTER < right - left;
  if (fits) drawn.push(drawText(left + 5, y, text));
  const beside = after ?? (fits ? undefined : text);
  if (beside !== undefined) drawn.push(drawText(right + 6, y, beside));
  if (before !== undefined) drawn.push(drawText(left - 6, y, before, ' text-anchor="end"'));
  return drawn;
}

function drawText(x, y, text, more = '') {
  return `<text class="small" x="${round(x)}" y="${y + 12.5}"${more}>${escape(text)}</text>`;
}

function drawPhase({ name, atMs }, at, bottom) {
  const y = 14 + PHASE_LINES[name] * 19;
  const label = name === 'draining' ? 'SIGTERM: draining' : name;
  return `<path class="phase" d="M${at} ${y - 10}V${bottom}"/><text class="name" x="${at + 5}" y="${y}">${escape(label)} <tspan class="small quiet" font-weight="400">${seconds(atMs)}</tspan></text>`;
}

function drawAxis(fromMs, toMs, x, bottom) {
  const drawn = [`<path class="edge" d="M10 ${bottom - 3}H${WIDTH - 10}"/>`];
  for (let second = Math.ceil(fromMs / 1_000); second <= toMs / 1_000; second += 1) {
    drawn.push(`<text class="small quiet" x="${x(second * 1_000)}" y="${bottom + 20}" text-anchor="middle">${second} s</text>`);
  }
  return drawn;
}

const seconds = (ms) => `${(ms / 1_000).toFixed(2)} s`;
const round = (number) => Math.round(number * 10) / 10;

function escape(text) {
  return String(text).replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
