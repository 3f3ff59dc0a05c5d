import { expect } from 'chai';
import { startBlockable, type Blockable } from '../support/blocked.js';
import { until } from '../support/processes.js';

/** Nothing of it takes processor time. */
const BLOCKER = 'wait';

describe('a second block within a minute of the one that was told', function () {
  this.timeout(120_000);
  let lasting: Blockable;
  let repeated: Blockable;

  // Both at once: each takes a minute.
  before(async () => {
    [lasting, repeated] = await Promise.all([
      startBlockable({ server: { notReadyAfterMs: 300, deadAfterMs: 1_000 } }),
      startBlockable({ server: { notReadyAfterMs: 300, deadAfterMs: 60_000 } }),
    ]);
    for (const child of [lasting, repeated]) {
      await child.block(700, BLOCKER);
      await until(() => child.blocks.length === 1);
    }
    for (const count of [2, 3]) {
      await repeated.block(700, BLOCKER);
      await until(() => repeated.blocks.length === count);
    }
  });
  after(() => Promise.all([lasting.stop('SIGKILL'), repeated.stop('SIGKILL')]));

  it('is told at the end of liveness without its stack, and with it once the minute is over', async () => {
    const before = lasting.lines.length;
    await lasting.block(100_000, BLOCKER);
    const later = () => lasting.lines.slice(before);
    await until(() => later().length === 1);
    expect(later()[0]).to.match(
      / blocked for 1 s \(its stack is not known: no more than one is taken a minute\), and liveness fails from now on$/,
    );
    await until(() => later().length === 2, 70_000);
    expect(later()[1]).to.match(
      /^koa-probes: the event loop has been blocked for (\d+ s|1 min.*) by Atomics\.wait, called by waitForNobody \(/,
    );
  });

  it('is summed up with those after it when the minute is over', async () => {
    const summary = await until(() => repeated.lines.find((line) => line.includes('more times')), 70_000);
    expect(summary).to.match(
      /^koa-probes: the event loop was blocked 2 more times in the last minute, for [\d.]+ s in all, the longest \d+ ms$/,
    );
  });
});
