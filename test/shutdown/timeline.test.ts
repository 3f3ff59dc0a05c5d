import { readFileSync } from 'node:fs';
import { expect } from 'chai';

const root = new URL('../../../', import.meta.url);

interface Seen {
  readonly atMs: number;
  readonly answer: string;
  readonly isLast?: boolean;
}

/** What of a recorded run is looked at here. */
interface Run {
  readonly phases: readonly { phase: string; atMs: number }[];
  readonly exit: { code: number; atMs: number };
  readonly liveness: readonly Seen[];
  readonly readiness: readonly Seen[];
  readonly quick: readonly Seen[];
  readonly requests: readonly { label: string; answer: string }[];
  readonly log: readonly string[];
}

const { recordShutdown } = (await import(new URL('scripts/timeline-run.js', root).href)) as {
  recordShutdown: (times: { drainDelayMs: number; leadMs: number; longMs: number }) => Promise<Run>;
};
const { drawTimeline } = (await import(new URL('scripts/timeline-picture.js', root).href)) as { drawTimeline: (run: Run) => string };

describe('the timeline of a shutdown', () => {
  let run: Run;
  before(async () => (run = await recordShutdown({ drainDelayMs: 1_500, leadMs: 1_000, longMs: 2_000 })));

  it('is recorded from a process that loses nothing', () => {
    expect(run.phases.map(({ phase }) => phase)).to.deep.equal(['draining', 'closing', 'hooks', 'deactivating', 'finished']);
    expect(run.exit.code).to.equal(0);
    const answers = run.requests.map(({ label, answer }) => `${label} ${answer}`).toSorted();
    expect(answers).to.deep.equal(['GET 200', 'GET 200', 'WebSocket 1001', 'event stream 200', 'job written']);
    expect(answersOf(run.liveness)).to.deep.equal(['200']);
    expect(answersOf(run.readiness)).to.deep.equal(['200', '503']);
    const answered = run.quick.filter(({ answer }) => answer === '200');
    expect(answered.findIndex(({ isLast }) => isLast === true)).to.equal(answered.filter(({ isLast }) => isLast === false).length);
    expect(answered.at(-1)?.isLast).to.equal(true);
    expect(run.log).to.have.lengthOf(5);
  });

  it('is drawn with every phase, as an image with a description', () => {
    const picture = drawTimeline(run);
    expectPicture(picture);
    expect(textsOf(picture)).to.include.members(['running', 'keep-alive', 'close', 'accepted', 'exit code 0', 'onShutdown: telemetry']);
  });

  it('is drawn as valid XML for any names', () => {
    const requests = run.requests.map((request) => ({ ...request, label: '<a href="b">&' }));
    const picture = drawTimeline({ ...run, requests });
    expectPicture(picture);
    expect(picture).to.include('&#60;a href=&#34;b&#34;&#62;&#38;');
  });

  it('is stored in docs/shutdown.svg', () => {
    expectPicture(readFileSync(new URL('docs/shutdown.svg', root), 'utf8'));
  });
});

/** What was answered until the server of the probes was closed, each once. */
function answersOf(seen: readonly Seen[]): string[] {
  return [...new Set(seen.map(({ answer }) => answer))].filter((answer) => answer !== 'refused');
}

function expectPicture(picture: string): void {
  expectWellFormed(picture);
  expect(picture.length).to.be.below(20_000);
  expect(picture).to.match(
    /^<svg [^>]*role="img"[^>]*aria-labelledby="title description"[^>]*>\n<title id="title">.+<\/title>\n<desc id="description">.+<\/desc>/,
  );
  expect(picture).to.not.match(/NaN|undefined|Infinity|null/);
  const texts = textsOf(picture);
  for (const phase of ['SIGTERM: draining', 'closing', 'hooks', 'deactivating', 'exit']) {
    expect(
      texts.filter((text) => new RegExp(`^${phase} \\d+\\.\\d\\d s$`).test(text)),
      phase,
    ).to.have.lengthOf(1);
  }
  expect(texts).to.include.members(['process', 'liveness', 'readiness', 'new connections', 'in flight', 'idle connections', 'hooks']);
}

function textsOf(picture: string): string[] {
  return Array.from(picture.matchAll(/<text[^>]*>(.*?)<\/text>/g), ([, text]) => (text ?? '').replace(/<[^>]*>/g, ''));
}

/** Tags that match, attributes in quotes and no name twice, and no bare `&` or `<`. */
function expectWellFormed(xml: string): void {
  const open: string[] = [];
  const rest = xml.replace(
    /<(\/?)([a-z]+)((?: [\w:-]+="[^"<]*")*)(\/?)>/g,
    (_, closing: string, name: string, attributes: string, alone: string) => {
      const names = Array.from(attributes.matchAll(/ ([\w:-]+)=/g), ([, attribute]) => attribute);
      expect(names).to.deep.equal([...new Set(names)]);
      if (closing !== '') expect(open.pop(), xml).to.equal(name);
      else if (alone === '') open.push(name);
      return '';
    },
  );
  expect(open).to.deep.equal([]);
  expect(rest).to.not.match(/<|&(?!#\d+;)/);
}
