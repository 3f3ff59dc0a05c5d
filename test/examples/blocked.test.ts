import { constants, setPriority } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'chai';
import { projectPath } from '../support/consumer.js';
import { ask } from '../support/http.js';
import { readPodSpec } from '../support/pod-spec.js';
import { freePort, startNode, until, type Child } from '../support/processes.js';

/** What the log says of each way to block the loop. */
const BLOCKERS = {
  report: / by (?:[\w.]+, called by )?buildReport \(build\/examples\/blocked\/server\.js:\d+:\d+\)/,
  name: / by (?:[\w.]+, called by )?matchName \(build\/examples\/blocked\/server\.js:\d+:\d+\)/,
  picture:
    / by execFileSync, called by drawPicture \(build\/examples\/blocked\/server\.js:\d+:\d+\) \(as it was when the synchronous call returned\)/,
} as const;

interface Example {
  readonly child: Child;
  readonly url: string;
  readonly probeUrl: string;
}

/** The answers of both kinds while a request blocks the loop, as often as they are there. */
interface Answers {
  readonly liveness: readonly number[];
  readonly readiness: readonly number[];
}

describe('examples/blocked', function () {
  this.timeout(120_000);
  const started: Child[] = [];
  after(() => Promise.all(started.map((child) => child.stop('SIGKILL'))));

  const start = async (): Promise<Example> => {
    const [port, probePort] = [await freePort(), await freePort()];
    const env = { PORT: String(port), PROBE_PORT: String(probePort) };
    const child = startNode(projectPath('build/examples/blocked/server.js'), env, { cwd: projectPath() });
    started.push(child);
    // Other tests run beside it.
    setPriority(child.process.pid ?? 0, constants.priority.PRIORITY_LOW);
    await until(() => child.output().includes('listening on'));
    const probeUrl = `http://127.0.0.1:${String(probePort)}`;
    await until(async () => (await ask(`${probeUrl}/readyz`)).status === 200);
    return { child, url: `http://127.0.0.1:${String(port)}`, probeUrl };
  };

  const linesOf = ({ child }: Example, words: string) =>
    child
      .output()
      .split('\n')
      .filter((line) => line.startsWith('koa-probes: the event loop') && line.includes(words));

  /** Blocks the loop, and asks until it turns again. */
  const blockBy = async ({ url, probeUrl }: Example, blocker: string, ms: number): Promise<Answers> => {
    const state = { isOver: false };
    const over = ask(`${url}/${blocker}?ms=${String(ms)}`).finally(() => (state.isOver = true));
    const answers = { liveness: [] as number[], readiness: [] as number[] };
    while (!state.isOver) {
      answers.liveness.push((await ask(`${probeUrl}/livez`)).status);
      answers.readiness.push((await ask(`${probeUrl}/readyz`)).status);
      await pause(20);
    }
    await over;
    await until(async () => (await ask(`${probeUrl}/livez`)).status === 200 && (await ask(`${probeUrl}/readyz`)).status === 200);
    return answers;
  };

  // All at once: each takes most of a minute.
  let long: Promise<readonly (readonly [Example, Answers])[]>;
  before(() => {
    long = Promise.all(
      Object.keys(BLOCKERS).map(async (blocker) => {
        const example = await start();
        return [example, await blockBy(example, blocker, 40_000)] as const;
      }),
    );
    long.catch(() => {});
  });

  for (const [index, [blocker, by]] of Object.entries(BLOCKERS).entries()) {
    it(`stays ready while it is blocked for 0.5 s by /${blocker}, and says nothing`, async () => {
      const example = await start();
      const { liveness, readiness } = await blockBy(example, blocker, 500);
      expect(new Set(liveness)).to.deep.equal(new Set([200]));
      // On a machine that is busy it may be blocked for longer, and then says so.
      expect(readiness.includes(503)).to.equal(linesOf(example, 'blocked').length > 0);
    });

    it(`is not ready, but alive, while it is blocked for 3 s by /${blocker}, and names the function`, async () => {
      const example = await start();
      const { liveness, readiness } = await blockBy(example, blocker, 3_000);
      expect(new Set(liveness)).to.deep.equal(new Set([200]));
      expect(new Set(readiness)).to.deep.equal(new Set([200, 503]));
      expect(await until(() => linesOf(example, ' was blocked ')[0])).to.match(by);
      expect(example.child.output()).to.match(/^an event for your own metrics: \d{4} ms, .*server\.js/m);
    });

    it(`is not alive after 30 s of the 40 s that it is blocked by /${blocker}, and passes again`, async () => {
      const [example, { liveness, readiness }] = (await long)[index]!;
      expect(new Set(readiness)).to.deep.equal(new Set([200, 503]));
      // First it is alive, and then not: it does not come and go.
      expect(liveness).to.deep.equal(liveness.toSorted((one, other) => one - other));
      expect(new Set(liveness)).to.deep.equal(new Set([200, 503]));
      expect(linesOf(example, 'liveness fails from now on')).to.have.lengthOf(1);
      expect(await until(() => linesOf(example, ' was blocked for 3')[0] ?? linesOf(example, ' was blocked for 4')[0])).to.match(by);
    });
  }

  it('has the thread for all probes of its pod spec, and comes out of rotation within the drain delay', () => {
    const [container] = readPodSpec('blocked', 'pod.yaml').containers as unknown as [
      Record<
        'startupProbe' | 'readinessProbe' | 'livenessProbe',
        { httpGet: { port: string }; periodSeconds: number; failureThreshold: number }
      >,
    ];
    for (const name of ['startupProbe', 'readinessProbe', 'livenessProbe'] as const)
      expect(container[name].httpGet.port).to.equal('probes');
    expect(container.readinessProbe.periodSeconds * container.readinessProbe.failureThreshold).to.be.at.most(3);
  });
});
