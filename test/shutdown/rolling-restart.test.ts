import { expect } from 'chai';

/** Plain JavaScript, outside of what is compiled: the pods and the clients of the benchmark, each a process of its own. */
interface Rollout {
  restart(subject: string, load: string, delayMs: number, times: number): Promise<Outcome>;
}

interface Outcome {
  readonly sent: number;
  readonly failures: readonly { readonly reason: string; readonly afterMs: number }[];
  readonly exits: readonly { readonly code: number }[];
}

const rollout = (await import(new URL('../../../bench/shutdown/rollout.js', import.meta.url).href)) as Rollout;

describe('a rolling restart under load', function () {
  this.timeout(60_000);

  const cases = ['koa-probes', 'koa-probes with node:cluster'].flatMap((subject) =>
    ['layer 7', 'layer 4'].map((load) => [subject, load] as const),
  );

  for (const [subject, load] of cases) {
    it(`of ${subject} loses no request of a ${load} load balancer that learns about it a second late`, async () => {
      const { sent, failures, exits } = await rollout.restart(subject, load, 1_500, 3);
      expect(failures).to.deep.equal([]);
      expect(exits.map(({ code }) => code)).to.deep.equal([0, 0, 0]);
      expect(sent).to.be.greaterThan(100);
    });
  }
});
