import { join } from 'node:path';
import { expect } from 'chai';
import { projectPath } from '../support/consumer.js';
import { accepts, freePort, start, startNode, until } from '../support/processes.js';

const demo = join(projectPath('scripts'), 'demo.js');

describe('npm run demo', function () {
  this.timeout(60_000);

  for (const signal of ['SIGINT', 'SIGHUP'] as const) {
    it(`shows requests and their answers, stays, and leaves nothing behind after ${signal}`, async () => {
      const port = await freePort();
      const child = startNode(demo, { PORT: String(port) });
      try {
        await until(() => child.process.exitCode !== null || child.output().includes('until Ctrl-C'), 50_000);
        expect(child.output()).to.match(/\$ curl -i '.*\/readyz\?verbose'\nHTTP\/1\.1 200 OK\n[^$]*\[\+\]database ok\n/);
        expect(child.output()).to.include(`The status page: http://localhost:${String(port)}/probes\n`);
        expect(child.output()).to.match(/\$ curl -i -X POST '.*\/toggle'\n[^$]*\n\$ curl -i '.*\/readyz'\nHTTP\/1\.1 503 /);
        await child.stop(signal);
        await until(() =>
          accepts(port).then(
            () => false,
            () => true,
          ),
        );
      } finally {
        await child.stop('SIGKILL');
      }
    });
  }

  it('leaves nothing behind where nobody reads what it shows', async () => {
    const port = await freePort();
    const child = start('sh', ['-c', `"${process.execPath}" "${demo}" | head -n 2`], {
      env: { ...process.env, PORT: String(port), NODE_EXTRA_CA_CERTS: undefined },
    });
    await until(() => child.process.exitCode !== null, 50_000);
    expect(child.output()).to.include(`$ curl -i 'http://localhost:${String(port)}/readyz?verbose'\n`);
    await until(() =>
      accepts(port).then(
        () => false,
        () => true,
      ),
    );
  });

  it('says what is wrong with a port', async () => {
    const child = startNode(demo, { PORT: 'abc' });
    await until(() => child.process.exitCode === 1);
    expect(child.output()).to.equal('PORT is "abc", which is no port from 1 to 65535. Take another one: PORT=3001 npm run demo\n');
  });
});
