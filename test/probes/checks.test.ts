import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import * as checks from 'koa-probes/checks';
import { checkDisk } from 'koa-probes/disk';
import { checkEventLoop, EventLoopWindow, judgeDelays } from 'koa-probes/event-loop';
import { checkHttp } from 'koa-probes/http';
import { checkMemjs } from 'koa-probes/memjs';
import { checkMemory, judgeMemory, readCgroupMemory, readMemory } from 'koa-probes/memory';
import { checkRedis } from 'koa-probes/redis';
import { checkTcp } from 'koa-probes/tcp';
import { projectPath, runNode } from '../support/consumer.js';

describe('koa-probes/checks', () => {
  it('exports the functions of the subpaths of the probes', () => {
    const processChecks = { checkEventLoop, EventLoopWindow, judgeDelays, checkMemory, judgeMemory, readCgroupMemory, readMemory };
    expect(checks).to.include({ checkDisk, checkHttp, checkMemjs, checkRedis, checkTcp, ...processChecks });
  });

  it('adds no probe', async () => {
    const program = `
      import 'koa-probes/checks';
      import { discoverProbes } from 'koa-probes';
      import { Container } from 'inversify';
      const probes = await discoverProbes(new Container(), { logger: false });
      const { results } = await probes.run('readiness');
      console.log(results.map(({ name }) => name).join());
    `;
    expect(await runNode(['--input-type=module', '--eval', program], projectPath())).to.equal('lifecycle\n');
  });

  it('can be imported and used without any other package', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'koa-probes-checks-'));
    try {
      const installed = join(folder, 'node_modules', 'koa-probes');
      for (const part of ['dist', 'package.json']) cpSync(projectPath(part), join(installed, part), { recursive: true });
      const program = `
        import { createServer } from 'node:net';
        import { checkMemory, checkTcp, checkMemjs, checkRedis } from 'koa-probes/checks';
        const server = createServer((socket) => socket.end()).listen(0, '127.0.0.1', async () => {
          const { port } = server.address();
          const signal = AbortSignal.timeout(5_000);
          await checkTcp({ host: '127.0.0.1', port }, { signal });
          checkMemory();
          await checkMemjs({ servers: [{ host: '127.0.0.1', port }] }, { signal }).catch((error) => console.log(error.message));
          await checkRedis({}, { signal }).catch((error) => console.log(error.name));
          server.close();
        });
      `;
      const output = await runNode(['--input-type=module', '--eval', program], folder);
      expect(output).to.match(
        /^1 of 1 memcached servers failed, 1 must answer: .*closed the connection before it answered\nConfigurationError\n$/,
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
