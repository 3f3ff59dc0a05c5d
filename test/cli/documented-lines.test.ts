import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, uptime } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { COMMAND, runCommand } from '../support/command.js';
import { projectPath } from '../support/consumer.js';
import { start, until } from '../support/processes.js';

const page = readFileSync(projectPath('docs/exec.md'), 'utf8');

/** What stands on the page, from the given text to the end of its line. */
function readLine(after: string): string {
  const [, line] = new RegExp(`^ *${after}(.+)$`, 'm').exec(page) ?? [];
  if (line === undefined) throw new Error(`docs/exec.md has no line ${after}`);
  return line;
}

describe('the commands in docs/exec.md', () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'lines-'))));
  afterEach(() => rmSync(folder, { recursive: true }));

  const write = (directory: string, file: string, good: boolean) => {
    mkdirSync(join(folder, directory), { recursive: true });
    writeFileSync(join(folder, directory, file), good ? `${String(Math.floor(uptime()) + 600)}\n\n` : '0\n\n[-]search failed: cold\n');
  };

  /** By a shell, with this project's command and the test's folder in place of those of the page, and without its pauses. */
  const runLine = async (line: string, pause = ':') => {
    const words = line
      .replaceAll(/(\/usr\/bin\/node )?\S+\/(bin\.cjs|\.bin\/koa-probes)/g, `"${process.execPath}" "${COMMAND}"`)
      .replaceAll(/\/run\/(app|worker)/g, folder)
      .replaceAll(/sleep \d+/g, pause)
      .replaceAll('systemctl', 'echo systemctl');
    const child = start('/bin/sh', ['-c', words], { env: { PATH: process.env['PATH'] } });
    const [code] = (await once(child.process, 'close')) as [number | null];
    return { code, text: child.output() };
  };

  it('read a heartbeat with the shell', async () => {
    const line = readLine("(?=sh -c 'read u _ <\\/proc\\/uptime; read d)");
    for (const good of [true, false]) {
      write('.', 'ready', good);
      expect((await runLine(line)).code).to.equal(good ? 0 : 1);
    }
  });

  it('count the heartbeats of several processes with the shell', async () => {
    const line = readLine("(?=sh -c 'read u _ <\\/proc\\/uptime; n=0)");
    expect((await runLine(line)).code).to.equal(1);
    write('0', 'live', true);
    write('1', 'live', false);
    expect((await runLine(line)).code).to.equal(1);
    write('2', 'live', true);
    expect(await runLine(line)).to.deep.equal({ code: 0, text: '' });
  });

  it("make Docker's HEALTHCHECK exit with only 0 or 1", async () => {
    const line = readLine('CMD ').replace(/--socket \S+/, '--heartbeat /run/app');
    write('.', 'live', true);
    expect(await runLine(line)).to.deep.equal({ code: 0, text: 'ok\n' });
    write('.', 'live', false);
    expect((await runLine(line)).code).to.equal(1);
    // Used wrongly, the command itself exits with 2.
    expect((await runLine(line.replace('--live', '--alive'))).code).to.equal(1);
  });

  it('delay the start of a systemd service until its startup probes have passed', async () => {
    const line = readLine('ExecStartPost=');
    write('.', 'startup', false);
    const waiting = runLine(line, `touch ${folder}/waited`);
    await until(() => existsSync(join(folder, 'waited')));
    write('.', 'startup', true);
    expect(await waiting).to.deep.equal({ code: 0, text: '' });
  });

  it('restart a systemd service after three failures, but not after two', async () => {
    const line = readLine('ExecStart=(?=\\/bin\\/sh)');
    write('.', 'live', true);
    expect(await runLine(line)).to.deep.equal({ code: 0, text: 'ok\n' });
    write('.', 'live', false);
    const failure = '[-]search failed: cold\n';
    expect(await runLine(line)).to.deep.equal({ code: 0, text: `${failure.repeat(3)}systemctl restart worker.service\n` });
    expect(await runLine(line, `echo 99999999999 >${folder}/live`)).to.deep.equal({ code: 0, text: `${failure}ok\n` });
  });
});

describe('the events in docs/kubernetes.md', () => {
  for (const way of ['--socket', '--heartbeat']) {
    it(`contain the output of the command without a worker: ${way}`, async () => {
      const directory = '/run/koa-probes/none';
      const path = way === '--socket' ? `${directory}/probes.sock` : directory;
      const { code, stderr } = await runCommand(['probe', '--live', way, path]);
      expect(code).to.equal(1);
      const event = `Liveness probe failed: ${stderr.replace(directory, '/run/app')}`;
      expect(readFileSync(projectPath('docs/kubernetes.md'), 'utf8')).to.include(event);
    });
  }
});
