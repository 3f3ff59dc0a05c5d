import { expect } from 'chai';
import WebSocket from 'ws';
import { PERMISSION, startBlockable, type Blockable, type BlockableOptions } from '../support/blocked.js';
import { projectPath } from '../support/consumer.js';
import { until } from '../support/processes.js';

const LIMITS = { notReadyAfterMs: 300, deadAfterMs: 60_000 };
const FILE = 'build/test/support/blocked-child.js';

describe('the stack of a blocked event loop', () => {
  let child: Blockable;
  afterEach(() => child.stop('SIGKILL'));

  const startIn = async ({ server = LIMITS, ...options }: BlockableOptions = {}) => (child = await startBlockable({ server, ...options }));

  const untilBlock = () => until(() => child.blocks[0]);

  const blockers: Record<string, { by: string; called?: string }> = {
    loop: { by: 'busyLoop' },
    regexp: { by: 'backtrack', called: 'RegExp.test' },
    call: { by: 'sleepOutside', called: 'execFileSync' },
    promises: { by: 'takeRoots' },
  };
  for (const [name, { by, called }] of Object.entries(blockers)) {
    it(`names the function, its file and its line: ${name}`, async () => {
      await startIn();
      await child.block(1_500, name);
      const block = await untilBlock();
      expect(block.by).to.match(new RegExp(`${called === undefined ? '' : `^${called}, called by `}${by} \\(${FILE}:\\d+:\\d+\\)$`));
      expect(block.stack.join('\n')).to.match(new RegExp(`^(Object\\.)?${by} .*\\(${FILE}:\\d+:\\d+\\)$`, 'm'));
      expect(block.durationMs).to.be.within(1_000, 10_000);
      expect(block.isLate).to.equal(name === 'call');
      expect(Math.abs(Date.now() - block.startedAt - block.durationMs)).to.be.below(10_000);
      const note = name === 'call' ? ' (as it was when the synchronous call returned)' : '';
      const last = await until(() => child.lines.find((line) => line.includes(' was blocked ')));
      expect(last).to.match(/^koa-probes: the event loop was blocked for [\d.]+ s by /);
      expect(last.endsWith(` by ${block.by ?? ''}${note}`)).to.equal(true);
    });
  }

  it('is told while the loop is still blocked, so that it outlives a process that is killed', async () => {
    await startIn();
    await child.block(20_000);
    await until(() => child.lines.length > 0);
    await child.stop('SIGKILL');
    expect(child.lines).to.have.lengthOf(1);
    expect(child.lines[0]).to.match(
      new RegExp(`^koa-probes: the event loop has been blocked for \\d+ ms by .*busyLoop \\(${FILE}:\\d+:\\d+\\)$`),
    );
  });

  it('is told as well when liveness begins to fail', async () => {
    await startIn({ server: { notReadyAfterMs: 300, deadAfterMs: 1_000 } });
    await child.block(20_000);
    await until(() => child.lines.length === 2);
    expect(child.lines[1]).to.match(
      /^koa-probes: the event loop has been blocked for 1 s by .*busyLoop \(.*\), and liveness fails from now on$/,
    );
  });

  it('says of a synchronous call, while it lasts, that its stack is known later', async () => {
    await startIn();
    await child.block(1_500, 'call');
    expect(await until(() => child.lines[0])).to.match(/blocked for \d+ ms by a synchronous call, whose stack is known when it returns$/);
    await untilBlock();
  });

  it('is taken once a minute, and later blocks are counted in silence', async () => {
    await startIn();
    for (const count of [1, 2, 3]) {
      await child.block(700);
      await until(() => child.blocks.length === count);
    }
    expect(child.blocks.map(({ stack }) => stack.length > 0)).to.deep.equal([true, false, false]);
    expect(child.lines.filter((line) => line.includes(' was blocked '))).to.have.lengthOf(1);
  });

  it('is not in any answer', async () => {
    await startIn({ server: { ...LIMITS, details: 'all' } });
    await child.block(3_000);
    await until(() => child.lines.length > 0);
    const bodies: string[] = [];
    for (const path of ['/livez?verbose', '/readyz?verbose', '/readyz/search']) {
      bodies.push((await child.probe(path)).body, (await child.probe(path, { accept: 'application/json' })).body);
    }
    await untilBlock();
    for (const path of ['/livez?verbose', '/readyz?verbose']) bodies.push((await child.probe(path)).body);
    expect(bodies.join('\n'))
      .to.include('event-loop')
      .and.not.to.match(/busyLoop|blocked-child/);
  });

  it('has the lines of the source if the process heeds source maps', async () => {
    await startIn({ flags: ['--enable-source-maps'] });
    await child.block(700);
    expect((await untilBlock()).by).to.match(/\bbusyLoop \(test\/support\/blocked-child\.ts:\d+:\d+\)$/);
  });

  it('says nothing without a logger, and emits the event all the same', async () => {
    await startIn({ env: { SILENT: '1' } });
    await child.block(700);
    expect((await untilBlock()).by).to.match(/\bbusyLoop \(/);
    expect(child.lines).to.deep.equal([]);
  });

  it('leaves `Error` as the application has set it, and calls no hook of it', async () => {
    await startIn({ env: { HOOK: '1' } });
    await child.block(700);
    expect((await untilBlock()).by).to.match(/\bbusyLoop \(/);
    await child.command('describe-error');
    expect(await until(() => /^hook .*$/m.exec(child.output())?.[0])).to.equal('hook calls: 0, limit: 3');
  });

  it('is withheld by the permission model, which the line says', async () => {
    await startIn({ flags: [PERMISSION, '--allow-fs-read=*', '--allow-worker', '--no-warnings'] });
    await child.block(700);
    expect((await untilBlock()).stack).to.deep.equal([]);
    expect(child.lines.at(-1)).to.match(
      /^koa-probes: the event loop was blocked for \d+ ms\. Its stack is not known: the permission model of Node does not allow it$/,
    );
  });

  describe('beside a debugger', () => {
    /** What a debugger is told. */
    const attach = async () => {
      const url = await until(() => /ws:\/\/\S+/.exec(child.output())?.[0]);
      const socket = new WebSocket(url);
      const events: string[] = [];
      socket.on('message', (data: Buffer) => {
        const { method, params } = JSON.parse(data.toString()) as { method?: string; params?: { callFrames?: { functionName: string }[] } };
        if (method?.startsWith('Debugger.') === true && method !== 'Debugger.scriptParsed')
          events.push(`${method} ${params?.callFrames?.[0]?.functionName ?? ''}`.trim());
      });
      await new Promise((resolve) => socket.once('open', resolve));
      let id = 0;
      const send = (method: string) => socket.send(JSON.stringify({ id: (id += 1), method }));
      send('Debugger.enable');
      return { events, send, close: () => socket.close() };
    };

    it('is taken unseen', async () => {
      await startIn({ flags: ['--inspect=127.0.0.1:0'] });
      const debug = await attach();
      await child.block(1_000);
      expect((await untilBlock()).by).to.match(/\bbusyLoop \(/);
      expect(debug.events).to.deep.equal([]);
      debug.close();
    });

    it('leaves a process at the breakpoint where it was paused, and names the place', async () => {
      await startIn({ flags: ['--inspect=127.0.0.1:0'] });
      const debug = await attach();
      await child.command('breakpoint');
      await until(() => debug.events.length > 0);
      await until(() => child.lines.length > 0);
      expect(child.lines[0]).to.match(/ by pauseHere \(/);
      expect((await child.probe('/readyz')).status).to.equal(503);
      expect(debug.events).to.deep.equal(['Debugger.paused pauseHere']);
      expect(child.output()).not.to.include('went on');
      debug.send('Debugger.resume');
      await until(() => child.output().includes('went on'));
      expect((await untilBlock()).by).to.match(/^pauseHere /);
      debug.close();
    });

    it('does not keep a process from exiting that ends as soon as a synchronous call returns', async () => {
      await startIn({ flags: ['--inspect=127.0.0.1:0'] });
      await child.command('block-and-exit?by=call&ms=1000');
      await until(() => child.process.exitCode !== null);
      expect(child.process.exitCode).to.equal(0);
      expect(child.output()).not.to.include('Waiting for the debugger');
    });
  });

  it('is taken unseen by an agent that debugs its own process', async () => {
    await startIn({ flags: ['--import', projectPath('build/test/support/debugging-agent.js')] });
    await child.block(700);
    expect((await untilBlock()).by).to.match(/\bbusyLoop \(/);
    expect(child.output()).to.include('agent: watching').and.not.to.include('agent: paused');
  });
});
