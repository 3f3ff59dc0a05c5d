import { expect } from 'chai';
import { startBlockable, type Blockable, type BlockableOptions } from '../support/blocked.js';
import { until } from '../support/processes.js';

const JSON_TYPE = { accept: 'application/json' };

/** So long that neither is over before its test is, however busy the machine. */
const LONG_MS = 20_000;
const NEVER = { notReadyAfterMs: 60_000, deadAfterMs: 120_000 };

describe('probeServer(probes, { thread: true })', () => {
  let child: Blockable;
  afterEach(() => child.stop('SIGKILL'));

  /** Every probe has been run. */
  const startReady = async (options?: BlockableOptions) => {
    child = await startBlockable(options);
    await until(async () => (await child.probe('/readyz')).status === 200);
    expect((await child.probe('/livez')).status).to.equal(200);
  };

  describe('while the event loop is blocked for less than `notReadyAfterMs`', () => {
    it('answers with the last report, by name, without excluded probes, in detail and as JSON', async () => {
      const options = { details: 'all', info: { version: '7' }, retryAfterSeconds: 5, paths: { readiness: '/ready' } } as const;
      await startReady({ server: { ...NEVER, ...options, paths: { readiness: ['/ready', '/readyz'] } } });
      const paths = [
        '/livez',
        '/healthz?verbose',
        '/ready',
        '/ready?verbose',
        '/ready/search',
        '/ready/mail?verbose',
        '/ready/none',
      ].concat('/ready?exclude=search&verbose', '/ready?exclude=nothing&verbose', '/startupz?verbose', '/elsewhere');
      const askAll = async () => {
        const answers = await Promise.all([
          ...paths.map((path) => child.probe(path)),
          ...paths.map((path) => child.probe(path, JSON_TYPE)),
        ]);
        return answers.map(({ status, headers, body }) => ({
          status,
          headers: { ...headers, date: '', 'content-length': '' },
          // The times are those of the last run.
          body: body.replaceAll(/"observedValue":[\d.]+/g, '').replaceAll(/"time":"[^"]+"/g, ''),
        }));
      };
      const turning = await askAll();
      expect(turning[3]?.body).to.equal('[+]lifecycle ok\n[+]search ok\n[+]mail degraded: secret\nready check passed\n');
      await child.block(LONG_MS);
      expect(await askAll()).to.deep.equal(turning);
    });

    it('answers with a failure of the last report, of liveness too', async () => {
      await startReady({ server: { ...NEVER, retryAfterSeconds: 5 } });
      await child.command('break');
      await child.command('unlive');
      await until(async () => (await child.probe('/readyz')).status === 503);
      await child.block(LONG_MS);
      expect(await child.probe('/livez')).to.include({ status: 503, body: '[-]lifecycle failed: stuck\nlivez check failed\n' });
      const readiness = await child.probe('/readyz');
      expect(readiness.body)
        .to.match(/^\[-]search failed: search is down$/m)
        .and.to.match(/^\[\+]mail degraded: reason withheld$/m);
      expect(readiness.headers['retry-after']).to.equal('5');
    });

    it('knows the toggle that was turned, and the probe that was registered, in the call that blocks', async () => {
      await startReady({ server: NEVER });
      await child.command(`change-and-block?ms=${String(LONG_MS)}`);
      await until(async () => (await child.probe('/readyz')).body.includes('maintenance'));
      expect((await child.probe('/readyz')).body).to.equal(
        '[-]lifecycle failed: maintenance\n[+]search ok\n[+]mail degraded: reason withheld\n[-]late failed: has not been run yet\nreadyz check failed\n',
      );
      expect(await child.probe('/readyz/late')).to.include({ status: 503 });
    });

    it('passes no probe that nobody has asked for, but for liveness', async () => {
      child = await startBlockable({ server: NEVER });
      await child.block(LONG_MS);
      expect(await child.probe('/livez')).to.include({ status: 200, body: 'ok' });
      expect((await child.probe('/readyz')).body).to.match(/^\[-]search failed: has not been run yet$/m);
    });
  });

  describe('while the event loop is blocked for longer', () => {
    it('answers readiness with 503 and the duration, and liveness with 200 and a warning', async () => {
      await startReady({ server: { notReadyAfterMs: 300, deadAfterMs: 60_000 } });
      await child.block(LONG_MS);
      await until(async () => (await child.probe('/readyz')).status === 503);
      const readiness = await child.probe('/readyz');
      expect(readiness.body).to.match(
        /^\[-]event-loop failed: the event loop has been blocked for (\d{3} ms|[\d.]+ s)\n\[\+]lifecycle ok\n/,
      );
      expect(await child.probe('/livez')).to.include({ status: 200, body: 'ok' });
      const { status, body } = await child.probe('/livez', JSON_TYPE);
      const { checks, ...rest } = JSON.parse(body) as {
        checks: Record<string, [{ status: string; output: string; observedValue: number }]>;
      };
      expect([status, rest]).to.deep.equal([200, { status: 'warn' }]);
      expect(checks['event-loop']?.[0]).to.include({ status: 'warn', observedUnit: 'ms' });
      expect(checks['event-loop']?.[0].output).to.match(/^the event loop has been blocked for /);
      expect(checks['event-loop']?.[0].observedValue).to.be.within(300, LONG_MS);
    });

    it('fails a probe that is asked for by name, unless `event-loop` is excluded', async () => {
      await startReady({ server: { notReadyAfterMs: 300, deadAfterMs: 60_000 } });
      await child.block(LONG_MS);
      await until(async () => (await child.probe('/readyz')).status === 503);
      expect((await child.probe('/readyz/search')).body).to.match(
        /^\[-]event-loop failed: .*\n\[\+]search ok\nreadyz\/search check failed\n$/,
      );
      expect(await child.probe('/readyz?exclude=event-loop&verbose')).to.include({
        status: 200,
        body: '[+]event-loop excluded: ok\n[+]lifecycle ok\n[+]search ok\n[+]mail degraded: reason withheld\nreadyz check passed\n',
      });
      expect((await child.probe('/readyz/event-loop')).status).to.equal(404);
    });

    it('answers liveness with 503 after `deadAfterMs`, and both with 200 when the loop turns again', async () => {
      await startReady({ server: { notReadyAfterMs: 300, deadAfterMs: 600 } });
      await child.block(3_000);
      await until(async () => (await child.probe('/livez')).status === 503);
      expect((await child.probe('/livez')).body).to.match(
        /^\[-]event-loop failed: the event loop has been blocked for .*\n\[\+]lifecycle ok\nlivez/,
      );
      expect((await child.probe('/readyz')).status).to.equal(503);
      await child.untilOver();
      await until(async () => (await child.probe('/livez')).status === 200 && (await child.probe('/readyz')).status === 200);
    });
  });

  it('answers a request that is under way when the loop begins to block', async () => {
    await startReady({ server: { notReadyAfterMs: 300, deadAfterMs: 60_000 } });
    await child.command('hang');
    const underWay = child.probe('/readyz?verbose');
    await until(() => child.output().includes('search hangs'));
    await child.block(LONG_MS);
    expect((await underWay).body).to.include('[+]search ok\n');
    expect(child.blocks).to.deep.equal([]);
  });

  it('does not take a check that hangs for a blocked loop', async () => {
    await startReady({ server: { notReadyAfterMs: 100, deadAfterMs: 200 } });
    await child.command('hang');
    expect((await child.probe('/readyz')).body).to.match(/^\[-]search failed: timed out after 800 ms$/m);
    expect((await child.probe('/livez')).status).to.equal(200);
    expect(child.lines).to.deep.equal([]);
  });

  it('does not count the time in which the whole process was stopped', async () => {
    await startReady({ server: { notReadyAfterMs: 3_000, deadAfterMs: 3_500 } });
    await child.block(1_000);
    await child.probe('/livez');
    child.process.kill('SIGSTOP');
    const underWay = Promise.all([child.probe('/livez'), child.probe('/readyz')]);
    const stoppedAt = performance.now();
    await until(() => performance.now() - stoppedAt > 4_000);
    child.process.kill('SIGCONT');
    expect((await underWay).map(({ status }) => status)).to.deep.equal([200, 200]);
    await child.untilOver();
    expect([...child.lines, ...child.blocks]).to.deep.equal([]);
  });
});
