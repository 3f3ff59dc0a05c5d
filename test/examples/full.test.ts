import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { ask } from '../support/http.js';
import { freePort, startNode, until, type Child } from '../support/processes.js';
import { postgresUrl, startMemcached, startPostgres } from '../support/services.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** Starts an example on a free port and waits until it answers. */
async function startExample(name: string, env: (port: number) => Promise<Record<string, string>> | Record<string, string> = () => ({})) {
  const port = await freePort();
  const child = startNode(join(root, 'build/examples', name, 'server.js'), { PORT: String(port), ...(await env(port)) });
  const url = `http://127.0.0.1:${String(port)}`;
  await until(() => {
    if (child.process.exitCode !== null) throw new Error(child.output());
    return ask(url);
  });
  return { child, url };
}

describe('examples/quickstart', () => {
  let example: { child: Child; url: string };
  before(async () => (example = await startExample('quickstart')));
  after(() => example.child.stop('SIGKILL'));

  it('answers the probes with the embedded database and its own probe', async () => {
    expect(await ask(`${example.url}/readyz?verbose`)).to.include({
      status: 200,
      body: '[+]lifecycle ok\n[+]database ok\n[+]backlog ok\nreadyz check passed\n',
    });
    expect((await ask(`${example.url}/livez`)).body).to.equal('ok');
    expect((await ask(`${example.url}/readyz/backlog`, { headers: { accept: 'application/json' } })).body).to.include(
      '"data":{"waiting":0}',
    );
  });

  it('turns readiness off and on by POST /toggle', async () => {
    expect((await ask(`${example.url}/toggle`, { method: 'POST' })).body).to.equal('Hello, but not ready\n');
    expect(await ask(`${example.url}/readyz`)).to.include({
      status: 503,
      body: '[-]lifecycle failed: switched off by hand\n[+]database ok\n[+]backlog ok\nreadyz check failed\n',
    });
    expect((await ask(`${example.url}/livez`)).status).to.equal(200);
    await ask(`${example.url}/toggle`, { method: 'POST' });
    expect((await ask(`${example.url}/readyz`)).status).to.equal(200);
  });

  it('answers what the README shows', async () => {
    const [, console] = /```console\n(.*?)```/s.exec(readFileSync(join(root, 'README.md'), 'utf8')) ?? [];
    const [, head = '', body] = /verbose'\n(HTTP.*?)\n\n(.*?)\$ curl -X POST/s.exec(console ?? '') ?? [];
    const answer = await ask(`${example.url}/readyz?verbose`, { headers: { connection: 'keep-alive' } });
    expect(answer.body).to.equal(body);
    const shown = head
      .split('\n')
      .slice(1)
      .map((line) => line.toLowerCase().split(': '));
    const { date: _, ...headers } = answer.headers;
    expect(Object.fromEntries(shown.filter(([name]) => name !== 'date'))).to.deep.equal(headers);
  });

  it('shuts down on SIGTERM', async () => {
    expect(await example.child.stop('SIGTERM'), example.child.output()).to.equal(0);
  });

  it('is the first program of the README, to the letter', () => {
    const [, program] = /```ts\n(.*?)```/s.exec(readFileSync(join(root, 'README.md'), 'utf8')) ?? [];
    expect(program).to.equal(readFileSync(join(root, 'examples/quickstart/server.ts'), 'utf8'));
  });
});

describe('examples/full', () => {
  it('answers on the management port and on its own path, and tells what is down', async () => {
    const [postgres, memcached, management] = [await startPostgres(), await startMemcached(), await freePort()];
    const { child, url } = await startExample('full', () => ({
      DATABASE_URL: postgresUrl(postgres.port),
      MEMCACHE_SERVERS: `127.0.0.1:${String(memcached.port)}`,
      MANAGEMENT_PORT: String(management),
      DISABLED_PROBES: 'memory',
      OPERATOR_PASSWORD: 'secret',
    }));
    const managementUrl = `http://127.0.0.1:${String(management)}`;
    try {
      const starting = await ask(`${managementUrl}/readyz`);
      expect([starting.status, starting.body]).to.deep.equal([
        503,
        '[-]lifecycle failed: starting: waiting for schema\n[+]database ok\n[+]memcached ok\n[+]visits ok\nreadyz check failed\n',
      ]);
      expect((await ask(`${managementUrl}/livez?verbose`)).body).to.equal('[+]lifecycle ok\nlivez check passed\n');
      await ask(`${url}/migrate`, { method: 'POST' });
      expect((await ask(`${url}/internal/ready`)).body).to.equal('ok');
      expect((await ask(`${url}/visits`)).body).to.equal('1\n');
      expect((await ask(`${managementUrl}/`)).body)
        .to.include('id="probe-visits"')
        .and.not.to.include('<form');
      const authorization = `Basic ${Buffer.from('ada:secret').toString('base64')}`;
      expect((await ask(`${managementUrl}/`, { headers: { authorization } })).body).to.include('<form');
      expect((await ask(`${url}/readyz`)).status).to.equal(404);
      await memcached.stop();
      const broken = await ask(`${managementUrl}/readyz/memcached`);
      expect([broken.status, broken.body]).to.satisfy(
        ([status, body]: [number, string]) => status === 503 && body.includes('ECONNREFUSED'),
      );
      expect(await child.stop('SIGTERM'), child.output()).to.equal(0);
      expect(child.output()).to.include('shutdown by SIGTERM').and.to.include('finished');
    } finally {
      await child.stop('SIGKILL');
      await Promise.all([postgres.stop(), memcached.stop()]);
    }
  });
});
