import { expect } from 'chai';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { flicker, lastingOutage, simulate, type Loss, type Losses, type Scene } from '../support/flicker.js';

const page = fileURLToPath(new URL('../../../docs/readiness.md', import.meta.url));

const SETTINGS = {
  default: {},
  'failureThreshold: 2': { failureThreshold: 2 },
  'failureThreshold: 3': { failureThreshold: 3 },
  'critical: false': { critical: false },
  'cacheMs: 5_000': { cacheMs: 5_000 },
  'intervalMs: 2_000': { intervalMs: 2_000 },
  'intervalMs: 2_000, failureThreshold: 2': { intervalMs: 2_000, failureThreshold: 2 },
} as const satisfies Record<string, Scene['options']>;
type Setting = keyof typeof SETTINGS;
const NAMES = Object.keys(SETTINGS) as Setting[];
/** One failed run counts. */
const EAGER = ['default', 'cacheMs: 5_000', 'intervalMs: 2_000'] as const;
const TOLERANT = NAMES.filter((name) => !EAGER.some((eager) => eager === name));

const SCENES = {
  flicker: { periodSeconds: 10, minutes: 60, outages: flicker(2_000, 60) },
  shortPeriod: { periodSeconds: 5, minutes: 15, outages: flicker(2_000, 15) },
  otherAsker: { periodSeconds: 10, minutes: 15, outages: flicker(2_000, 15), otherAskerMs: 1_000 },
  longOutage: { periodSeconds: 10, minutes: 15, outages: flicker(15_000, 15) },
  goneForGood: { periodSeconds: 10, minutes: 2, outages: lastingOutage() },
  hang: { periodSeconds: 10, minutes: 10, outages: flicker(2_000, 10), outage: 'hangs' },
} as const satisfies Record<string, Omit<Scene, 'options'>>;
type SceneName = keyof typeof SCENES;
const SCENE_NAMES = Object.keys(SCENES) as SceneName[];

type Results = Record<SceneName, Record<Setting, Losses>>;

describe('20 pods whose readiness probes check one database', () => {
  let results: Results;
  before(async () => (results = await simulateAll()));

  describe('when it is down for 2 s of every minute', () => {
    it('loses about as many pod-seconds as the database was down, most of them while it was up', () => {
      const { podSecondsOut, podSecondsOutWhileUp, podSecondsServedWhileDown } = results.flicker.default.kubelet1;
      expect(podSecondsOut).to.be.within(36, 44);
      expect(results.shortPeriod.default.kubelet1.podSecondsOut).to.be.within(36, 44);
      expect(podSecondsOutWhileUp / podSecondsOut).to.be.above(0.85);
      expect(podSecondsServedWhileDown).to.be.above(0.85 * 40);
    });

    it('never loses all pods at once', () => {
      for (const scene of ['flicker', 'shortPeriod', 'otherAsker', 'hang'] as const)
        for (const [name, { kubelet1 }] of lossesOf(scene)) expect(kubelet1.longestAllOutSeconds, `${scene}, ${name}`).to.equal(0);
    });

    it('loses no pod if the kubelet waits for three failures, with any setting', () => {
      for (const scene of ['flicker', 'shortPeriod', 'otherAsker', 'hang'] as const)
        for (const [name, { kubelet3 }] of lossesOf(scene)) expect(kubelet3.podSecondsOut, `${scene}, ${name}`).to.equal(0);
    });

    it('loses no pod if the probe tolerates the outage, and then every pod serves during all of it', () => {
      for (const name of TOLERANT) {
        expect(results.flicker[name].kubelet1.podSecondsOut, name).to.equal(0);
        expect(results.shortPeriod[name].kubelet1.podSecondsOut, name).to.equal(0);
        expect(results.flicker[name].kubelet1.podSecondsServedWhileDown, name).to.equal(40);
      }
    });

    it('does not tolerate it with only cacheMs or intervalMs', () => {
      for (const scene of ['flicker', 'shortPeriod'] as const)
        for (const name of EAGER) expect(results[scene][name].kubelet1.podSecondsOut, `${scene}, ${name}`).to.be.above(0.8 * 40);
    });

    it('checks the database once per period from each pod, or once per intervalMs', () => {
      const runsOf = (scene: SceneName, name: Setting) => Math.round(results[scene][name].kubelet1.runsPerMinute);
      expect(runsOf('flicker', 'default')).to.equal(120);
      expect(runsOf('flicker', 'cacheMs: 5_000')).to.equal(120);
      expect(runsOf('flicker', 'intervalMs: 2_000')).to.equal(600);
      expect(runsOf('shortPeriod', 'default')).to.equal(240);
      expect(runsOf('otherAsker', 'default')).to.equal(1_320);
      expect(runsOf('otherAsker', 'cacheMs: 5_000')).to.equal(240);
      expect(runsOf('otherAsker', 'intervalMs: 2_000')).to.equal(600);
    });

    it('loses less if the database hangs than if it refuses, with the same settings', () => {
      for (const name of EAGER) {
        expect(results.hang[name].kubelet1.podSecondsOut, name).to.be.above(0);
        expect(results.hang[name].kubelet1.podSecondsOut, name).to.be.below(0.8 * results.flicker[name].kubelet1.podSecondsOut);
      }
      for (const name of TOLERANT) expect(results.hang[name].kubelet1.podSecondsOut, name).to.be.below(1);
    });
  });

  describe('when another client also probes every second', () => {
    it('reaches a failureThreshold within the outage, unless intervalMs sets the pace of the runs', () => {
      const outOf = (name: Setting) => results.otherAsker[name].kubelet1.podSecondsOut;
      expect(outOf('default')).to.be.above(outOf('failureThreshold: 2'));
      expect(outOf('failureThreshold: 2')).to.be.above(outOf('failureThreshold: 3'));
      expect(outOf('failureThreshold: 3')).to.be.above(0);
      expect(outOf('intervalMs: 2_000, failureThreshold: 2')).to.equal(0);
      expect(outOf('critical: false')).to.equal(0);
    });
  });

  describe('when it is down for 15 s', () => {
    it('loses all pods at once, unless the kubelet or the probe tolerates it longer', () => {
      const allOutOf = (name: Setting) => results.longOutage[name].kubelet1.longestAllOutSeconds;
      for (const name of [...EAGER, 'intervalMs: 2_000, failureThreshold: 2'] as const) expect(allOutOf(name), name).to.be.above(2);
      for (const name of ['failureThreshold: 2', 'failureThreshold: 3', 'critical: false'] as const)
        expect(allOutOf(name), name).to.equal(0);
      expect(results.longOutage.default.kubelet3.podSecondsOut).to.equal(0);
    });
  });

  describe('when it is down permanently', () => {
    it('notices it one period later for each additional failure, or one interval later with intervalMs', () => {
      const { goneForGood } = results;
      const noticedAfter = (name: Setting) => goneForGood[name].kubelet1.allOutAfterSeconds;
      expect(noticedAfter('default')).to.be.within(8, 10.1);
      expect(noticedAfter('failureThreshold: 2') - noticedAfter('default')).to.be.closeTo(10, 0.1);
      expect(noticedAfter('failureThreshold: 3') - noticedAfter('default')).to.be.closeTo(20, 0.1);
      expect(noticedAfter('intervalMs: 2_000, failureThreshold: 2') - noticedAfter('default')).to.be.within(0, 4);
      expect(noticedAfter('critical: false')).to.equal(Infinity);
      for (const name of NAMES.filter((one) => one !== 'critical: false'))
        expect(goneForGood[name].kubelet3.allOutAfterSeconds - noticedAfter(name), name).to.be.closeTo(20, 0.1);
    });

    it('notices it within the documented time', () => {
      for (const name of NAMES.filter((one) => one !== 'critical: false')) {
        const { intervalMs = 0, failureThreshold = 1 }: Scene['options'] = SETTINGS[name];
        for (const kubelet of [1, 3] as const) {
          const within = intervalMs > 0 ? (intervalMs / 1_000) * failureThreshold + 10 * kubelet : 10 * (failureThreshold + kubelet - 1);
          expect(results.goneForGood[name][`kubelet${kubelet}`].allOutAfterSeconds, name).to.be.within(within - 3, within + 0.1);
        }
      }
    });
  });

  describe('when it is down from the start', () => {
    it('keeps each pod out with any failureThreshold, and none with critical: false', async () => {
      const outOf = async (options: Scene['options']) =>
        (await simulate({ options, periodSeconds: 10, minutes: 1, outages: [[0, Infinity]] })).kubelet1.podSecondsOut;
      expect(await outOf({ failureThreshold: 3 })).to.equal(1_200);
      expect(await outOf({ intervalMs: 2_000, failureThreshold: 2 })).to.equal(1_200);
      expect(await outOf({ critical: false })).to.equal(0);
    });
  });

  describe('with intervalMs', () => {
    it('tolerates an outage of intervalMs × (failureThreshold - 1), but not a longer one', async () => {
      const outOf = async (lengthMs: number, failureThreshold: number) => {
        const options = { intervalMs: 2_000, failureThreshold };
        const { kubelet1 } = await simulate({ options, periodSeconds: 10, minutes: 3, outages: flicker(lengthMs, 3) });
        return kubelet1.podSecondsOut;
      };
      expect(await outOf(2_000, 2)).to.equal(0);
      expect(await outOf(3_000, 2)).to.be.above(0);
      expect(await outOf(4_000, 3)).to.equal(0);
      expect(await outOf(5_000, 3)).to.be.above(0);
    });
  });

  describe('docs/readiness.md', () => {
    it('shows the output of the simulation (UPDATE_DOCS=1 updates it)', () => {
      const written = readFileSync(page, 'utf8');
      let expected = replaceBlock(written, 'flicker', renderFlicker(results));
      expected = replaceBlock(expected, 'other scenes', renderOtherScenes(results));
      if (process.env['UPDATE_DOCS'] === '1') writeFileSync(page, expected);
      else expect(written).to.equal(expected);
    });
  });

  const lossesOf = (scene: SceneName) => NAMES.map((name) => [name, results[scene][name]] as const);
});

async function simulateAll(): Promise<Results> {
  const results: Partial<Record<SceneName, Partial<Record<Setting, Losses>>>> = {};
  for (const scene of SCENE_NAMES) {
    const losses: Partial<Record<Setting, Losses>> = (results[scene] = {});
    for (const name of NAMES) losses[name] = await simulate({ ...SCENES[scene], options: SETTINGS[name] });
  }
  return results as Results;
}

function renderFlicker({ flicker: losses, goneForGood }: Results): string {
  const head = [
    'kubelet',
    'probe',
    'out of rotation',
    'of it, database up',
    'all 20 out',
    'traffic, database down',
    'runs a minute',
    'gone for good: all out after',
  ];
  const rowOf = (kubelet: keyof Losses, name: Setting) => {
    const loss: Loss = losses[name][kubelet];
    return [
      kubelet === 'kubelet1' ? '1' : '3',
      nameOf(name),
      loss.podSecondsOut.toFixed(1),
      loss.podSecondsOutWhileUp.toFixed(1),
      seconds(loss.longestAllOutSeconds),
      loss.podSecondsServedWhileDown.toFixed(1),
      runs(loss),
      seconds(goneForGood[name][kubelet].allOutAfterSeconds),
    ];
  };
  const rows = (['kubelet1', 'kubelet3'] as const).flatMap((kubelet) => NAMES.map((name) => rowOf(kubelet, name)));
  return renderTable(head, rows, 2);
}

function renderOtherScenes({ shortPeriod, otherAsker, longOutage }: Results): string {
  const head = [
    'probe',
    'every 5 s: out',
    'runs a minute',
    'asked each second too: out',
    'runs a minute',
    'down for 15 s: out',
    'all 20 out',
  ];
  const rows = NAMES.map((name) => [
    nameOf(name),
    shortPeriod[name].kubelet1.podSecondsOut.toFixed(1),
    runs(shortPeriod[name].kubelet1),
    otherAsker[name].kubelet1.podSecondsOut.toFixed(1),
    runs(otherAsker[name].kubelet1),
    longOutage[name].kubelet1.podSecondsOut.toFixed(1),
    seconds(longOutage[name].kubelet1.longestAllOutSeconds),
  ]);
  return renderTable(head, rows, 1);
}

function nameOf(name: Setting): string {
  return name === 'default' ? 'default' : `\`${name}\``;
}

function seconds(value: number): string {
  return value === Infinity ? 'never' : `${value.toFixed(1)} s`;
}

function runs({ runsPerMinute }: Loss): string {
  return Math.round(runsPerMinute).toLocaleString('en');
}

/** As prettier would have it: the first columns to the left, the rest to the right. */
function renderTable(head: string[], rows: string[][], leftColumns: number): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const render = (row: string[]) => {
    const cells = row.map((cell, column) => (column < leftColumns ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)));
    return `| ${cells.join(' | ')} |`;
  };
  const rule = widths.map((width, column) => (column < leftColumns ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [render(head), render(rule), ...rows.map(render)].join('\n');
}

/** What stands between the two comments of that name. */
function replaceBlock(text: string, name: string, table: string): string {
  const block = new RegExp(`(?<=<!-- begin: ${name} -->\n).*?(?=<!-- end: ${name} -->)`, 's');
  expect(text, 'docs/readiness.md').to.match(block);
  return text.replace(block, () => `\n${table}\n\n`);
}
