import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { runCommand } from '../support/command.js';
import { projectPath } from '../support/consumer.js';
import { startNode, until } from '../support/processes.js';

describe('200 runs of koa-probes with an application that hangs', () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(projectPath('build', 'cli-app-'))));
  afterEach(() => rmSync(folder, { recursive: true }));

  const HANGING = `
    import { ProbeRegistry, probeHeartbeat, probeServer } from 'koa-probes';
    export const probes = new ProbeRegistry({ logger: false, deadlineMs: 60000 });
    const hang = () => new Promise(() => console.log('hangs'));
    probes.register({ name: 'hanging', kinds: ['readiness'], timeoutMs: 60000, check: hang });
    await probeServer(probes, { socket: './' + process.pid + '.sock' });
    probeHeartbeat(probes, { directory: './heartbeat-' + process.pid });
    setInterval(() => {}, 1000);
    const isWorker = process.argv[1].endsWith('app.mjs');
    if (isWorker) console.log('port', (await probeServer(probes, { port: 0 })).address().port);
    if (isWorker) for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    if (process.pid % 2 === 0) await hang();
  `;

  it('leave no process, socket or file behind', async () => {
    writeFileSync(join(folder, 'app.mjs'), HANGING);
    const worker = startNode(join(folder, 'app.mjs'), {}, { cwd: folder });
    try {
      const pid = String(worker.process.pid);
      await until(() => worker.output().includes('port'));
      const [, port = ''] = /port (\d+)/.exec(worker.output()) ?? [];
      const before = readdirSync(folder);
      const options = { cwd: folder, env: { NODE_V8_COVERAGE: '' } };
      // Few at a time import the application, and long enough for it to get as far as it does.
      const ways = Array.from({ length: 200 }, (_, index) => {
        if (index % 8 === 0) return ['--app', './app.mjs', '--timeout', '4'];
        if (index % 8 === 1) return ['--heartbeat', `./heartbeat-${pid}`];
        return index % 2 === 0 ? ['--socket', `${pid}.sock`] : ['--url', `http://127.0.0.1:${port}`];
      });
      const runOneByOne = async () => {
        for (let way = ways.pop(); way !== undefined; way = ways.pop()) {
          expect(await runCommand(['probe', '-Rq', ...way], options)).to.include({ code: 1, stdout: '', stderr: '' });
        }
      };
      await Promise.all(Array.from({ length: 6 }, runOneByOne));
      const folders = readdirSync(folder).filter((file) => file.startsWith('heartbeat-') && !before.includes(file));
      expect(folders).to.have.lengthOf.above(0);
      for (const one of folders) expect(readdirSync(join(folder, one))).to.deep.equal([]);
      expect(readdirSync(folder).filter((file) => !folders.includes(file))).to.deep.equal(before);
      expect(processesIn(folder)).to.deep.equal([String(worker.process.pid)]);
    } finally {
      await worker.stop('SIGKILL');
    }
  }).timeout(120_000);
});

/** What still runs with that working directory. */
function processesIn(folder: string): string[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.filter((pid) => {
    try {
      return readlinkSync(`/proc/${pid}/cwd`) === folder;
    } catch {
      return false;
    }
  });
}
