import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer as createTlsServer } from 'node:https';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir, uptime } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { NotReady, probeHeartbeat, ProbeRegistry, probeServer } from 'koa-probes';
import { Authority } from '../support/certificates.js';
import { COMMAND, runCommand } from '../support/command.js';
import { closeServers, serve, urlOf } from '../support/http.js';
import { canMount as isRoot, canMountSilent, mountSilent } from '../support/mounts.js';
import { freePort, run, start, until } from '../support/processes.js';

/** Far above what a busy machine takes; where a test is about the time, it says so. */
const PATIENT = ['--timeout', '20'];

describe('koa-probes probe', () => {
  let folder: string;
  let socket: string;
  let probes: ProbeRegistry;
  let isDown: Error | undefined;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'cli-'));
    socket = join(folder, 'probes.sock');
    isDown = undefined;
    probes = new ProbeRegistry({ logger: false });
    probes.register({
      name: 'search',
      kinds: ['readiness'],
      check() {
        if (isDown) throw isDown;
      },
    });
  });
  afterEach(() => {
    probes.close();
    closeServers();
    rmSync(folder, { recursive: true, force: true });
  });

  const serveProbes = async () => urlOf(await probeServer(probes, { port: 0, host: '127.0.0.1' }));
  /** Answers all with the same bytes, and keeps the connection where they are not the end. */
  const serveRaw = async (answer: (connection: Socket) => void) => {
    const connections: Socket[] = [];
    const server = createServer((connection) => {
      connections.push(connection.on('error', () => {}));
      connection.once('data', () => answer(connection));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    closers.push(() => {
      server.close();
      for (const connection of connections) connection.destroy();
    });
    return `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  };
  const closers: (() => void)[] = [];
  afterEach(() => closers.splice(0).forEach((close) => close()));

  describe('by --socket and --url', () => {
    it('exits with 0 and prints ok if the probe passes', async () => {
      await probeServer(probes, { socket });
      const url = await serveProbes();
      for (const way of [['--socket', socket], ['--url', url], [`--url=${url}/`]]) {
        expect(await runCommand(['probe', '--ready', ...way, ...PATIENT])).to.include({ code: 0, stdout: 'ok\n', stderr: '' });
      }
    });

    it('exits with 1 and names only the failing checks, without withheld reasons', async () => {
      probes.register({ name: 'cache', kinds: ['readiness'], check: () => Promise.reject(new NotReady('cold')) });
      isDown = new Error('secret');
      const result = await runCommand(['probe', '--ready', '--url', await serveProbes(), ...PATIENT]);
      expect(result).to.include({ code: 1, stdout: '', stderr: '[-]search failed: reason withheld\n[-]cache failed: cold\n' });
    });

    it('sees the toggles of the running process', async () => {
      await probeServer(probes, { socket });
      probes.lifecycle.drain();
      const ask = (kind: string) => runCommand(['probe', kind, '--socket', socket, ...PATIENT]);
      expect(await ask('--ready')).to.include({ code: 1, stderr: '[-]lifecycle failed: draining\n' });
      expect((await ask('--live')).code).to.equal(0);
    });

    it('prints a line for each check with --verbose', async () => {
      const url = await serveProbes();
      const ask = () => runCommand(['probe', '-Rv', '--url', url, ...PATIENT]);
      expect(await ask()).to.include({ code: 0, stdout: '[+]lifecycle ok\n[+]search ok\nreadyz check passed\n', stderr: '' });
      isDown = new Error('secret');
      const stderr = '[+]lifecycle ok\n[-]search failed: reason withheld\nreadyz check failed\n';
      expect(await ask()).to.include({ code: 1, stdout: '', stderr });
    });

    it('prints nothing with --quiet in any case', async () => {
      const url = await serveProbes();
      const silent = { stdout: '', stderr: '' };
      expect(await runCommand(['probe', '-R', '--quiet', '--url', url, ...PATIENT])).to.include({ code: 0, ...silent });
      isDown = new Error('secret');
      expect(await runCommand(['probe', '-Rq', '--url', url, ...PATIENT])).to.include({ code: 1, ...silent });
      expect(await runCommand(['probe', '-q'])).to.include({ code: 2, ...silent });
    });

    it('exits with the same code if nobody reads its output', async () => {
      const url = await serveProbes();
      const command = `"$0" "$1" probe -R --url ${url} --timeout 20 >&- 2>&-; echo $?`;
      expect(await run('sh', ['-c', command, process.execPath, COMMAND])).to.equal('0\n');
    });

    it('requests the path of the kind below the prefix of the URL', async () => {
      const asked: string[] = [];
      const url = await serve((request, response) => {
        asked.push(`${String(request.method)} ${String(request.url)}`);
        response.end('ok');
      });
      for (const flag of ['-L', '--live', '-R', '--ready', '-H', '--health', '-S', '--startup']) {
        expect((await runCommand(['probe', flag, '--url', url, ...PATIENT])).code).to.equal(0);
      }
      await runCommand(['probe', '-R', '--verbose', '--url', `${url}/internal/`, ...PATIENT]);
      const paths = [
        '/livez',
        '/livez',
        '/readyz',
        '/readyz',
        '/healthz',
        '/healthz',
        '/startupz',
        '/startupz',
        '/internal/readyz?verbose',
      ];
      expect(asked).to.deep.equal(paths.map((path) => `GET ${path}`));
    });

    it('shortens its output to a few short lines without control characters', async () => {
      const lines = Array.from({ length: 9 }, (_, index) => `[-]check-${String(index)} failed: \u001B[31m${'x'.repeat(500)}\u0007`);
      const url = await serve((_, response) => response.writeHead(503).end(lines.join('\n')));
      const { code, stderr } = await runCommand(['probe', '-R', '--url', url, ...PATIENT]);
      const said = stderr.trimEnd().split('\n');
      expect([code, said.length, said.at(-1)]).to.deep.equal([1, 6, '... 4 more failed']);
      expect(said[0])
        .to.match(/^\[-]check-0 failed: {2}\[31mx+\.\.\.$/)
        .and.to.have.lengthOf(203);
    });

    it('names the failing checks of an application that always answers in JSON', async () => {
      isDown = new NotReady('no shards');
      const url = urlOf(await probeServer(probes, { port: 0, host: '127.0.0.1', format: 'json' }));
      expect(await runCommand(['probe', '-R', '--url', url, ...PATIENT])).to.include({ code: 1, stderr: '[-]search failed: no shards\n' });
    });

    for (const status of [204, 302, 404, 500]) {
      it(`fails if the response is ${String(status)}`, async () => {
        const url = await serve((_, response) =>
          response.writeHead(status, { Location: '/elsewhere' }).end(status === 204 ? undefined : 'a page\n'),
        );
        const { code, stderr } = await runCommand(['probe', '-R', '--url', url, ...PATIENT]);
        expect([code, stderr]).to.deep.equal([
          1,
          `koa-probes: /readyz answered ${String(status)}, expected 200${status === 204 ? '' : ': a page'}\n`,
        ]);
      });
    }

    const broken: [string, string, RegExp][] = [
      ['breaks off', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok', /closed the connection in the middle of its response/],
      [
        'breaks off in chunks',
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n',
        /closed the connection in the middle of its response/,
      ],
      ['is not HTTP', 'SSH-2.0-OpenSSH_9.2\r\n', /does not answer with HTTP/],
      ['does not end', `HTTP/1.1 200 OK\r\n\r\n${'x'.repeat(70_000)}`, /sends more than 65536 bytes/],
    ];
    for (const [what, bytes, message] of broken) {
      it(`fails if the response ${what}`, async () => {
        const url = await serveRaw((connection) => connection.end(bytes));
        const { code, stderr } = await runCommand(['probe', '-R', '--url', url, ...PATIENT]);
        expect(code).to.equal(1);
        expect(stderr)
          .to.match(message)
          .and.to.match(/^koa-probes: [^\n]*\n$/);
      });
    }

    const garbage: [string, string][] = [
      ['a status of four digits', 'HTTP/1.1 2000 OK\r\n\r\nok'],
      ['a status that is not a number', 'HTTP/1.1 2e2 OK\r\n\r\nok'],
      ['no space before the status', 'HTTP/1.9x200 OK\r\n\r\nok'],
      ['a negative length', 'HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nok'],
      ['an empty length', 'HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\nok'],
      ['a negative chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-6\r\nok\r\n'],
      ['another protocol', 'SSH-2.0-OpenSSH_9.2\r\n'],
    ];
    for (const [what, bytes] of garbage) {
      it(`fails at once if the response has ${what}`, async () => {
        const url = await serveRaw((connection) => connection.write(bytes));
        const result = await runCommand(['probe', '-R', '--url', url, ...PATIENT]);
        expect(result).to.include({ code: 1, stderr: `koa-probes: ${url} does not answer with HTTP. Is it the application?\n` });
      });
    }

    it('reports an incomplete response if the connection is reset in the middle of it', async () => {
      const url = await serveRaw((connection) => {
        connection.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok', () => setTimeout(() => connection.resetAndDestroy(), 100));
      });
      expect((await runCommand(['probe', '-R', '--url', url, ...PATIENT])).stderr).to.match(
        /closed the connection in the middle of its response/,
      );
    });

    it('prints nothing with -q among other letters', async () => {
      for (const args of [['-vRq'], ['-LRq', '--url', 'http://x']]) {
        expect(await runCommand(['probe', ...args])).to.include({ code: 2, stdout: '', stderr: '' });
      }
    });

    it('does not wait for the end of the connection if the response has no body', async () => {
      const url = await serveRaw((connection) => connection.write('HTTP/1.1 204 No Content\r\n\r\n'));
      expect((await runCommand(['probe', '-R', '--url', url, ...PATIENT])).stderr).to.equal(
        'koa-probes: /readyz answered 204, expected 200\n',
      );
    });

    it('accepts a response in chunks, after an informational response, or up to the end of the connection', async () => {
      for (const bytes of [
        'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
        'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
        'HTTP/1.0 200 OK\r\n\r\nok',
      ]) {
        const url = await serveRaw((connection) => connection.end(bytes));
        expect((await runCommand(['probe', '-R', '--url', url, ...PATIENT])).code).to.equal(0);
      }
    });

    const slow: [string, (connection: Socket) => void][] = [
      ['never comes', () => {}],
      [
        'trickles',
        (connection) => {
          connection.write('HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n');
          const timer = setInterval(() => connection.write('x'), 20);
          connection.once('close', () => clearInterval(timer));
        },
      ],
    ];
    for (const [what, answer] of slow) {
      it(`ends in time if the response ${what}`, async () => {
        const url = await serveRaw(answer);
        const { code, stderr, durationMs } = await runCommand(['probe', '-R', '--url', url]);
        expect([code, stderr]).to.deep.equal([
          1,
          `koa-probes: no answer from ${url} within 0.9 s. Its event loop is blocked, or its checks take longer than --timeout.\n`,
        ]);
        expect(durationMs).to.be.within(800, 10_000);
      });
    }

    it('detects that the event loop of a worker is blocked', async () => {
      const program = `
        import { ProbeRegistry, probeServer } from 'koa-probes';
        await probeServer(new ProbeRegistry(), { socket: process.argv[1] });
        process.on('SIGUSR2', () => { while (true); });
        console.log('listens');
      `;
      const worker = start(process.execPath, ['--input-type=module', '--eval', program, socket], { env: { PATH: process.env['PATH'] } });
      try {
        await until(() => worker.output() !== '');
        expect((await runCommand(['probe', '-L', '--socket', socket, ...PATIENT])).code).to.equal(0);
        worker.process.kill('SIGUSR2');
        await until(async () => (await runCommand(['probe', '-L', '--socket', socket])).code === 1);
      } finally {
        await worker.stop('SIGKILL');
      }
      const { code, stderr } = await runCommand(['probe', '-L', '--socket', socket, ...PATIENT]);
      expect([code, stderr]).to.deep.equal([
        1,
        `koa-probes: nothing is listening on ${socket}: its worker has ended, or it is not a socket.\n`,
      ]);
    });

    it('reports in one line that nothing is listening, with the cure', async () => {
      const port = String(await freePort());
      const refused = await runCommand(['probe', '-R'], { env: { PORT: port } });
      expect([refused.code, refused.stderr]).to.deep.equal([
        1,
        `koa-probes: nothing is listening on http://127.0.0.1:${port}. Start the application, or set its address with --url, --socket or PORT.\n`,
      ]);
      const missing = await runCommand(['probe', '-R', '--socket', socket]);
      expect([missing.code, missing.stderr]).to.satisfy(
        ([code, text]: [number, string]) =>
          code === 1 && text.startsWith(`koa-probes: the socket ${socket} does not exist.`) && text.split('\n').length === 2,
      );
      const unknown = await runCommand(['probe', '-R', '--url', 'http://koa-probes.invalid', ...PATIENT]);
      expect(unknown.stderr).to.match(
        /^koa-probes: no connection to http:\/\/koa-probes\.invalid \(E\w+\)\. Correct --url, PROBE_URL or PORT\.\n$/,
      );
    });

    it('exits with 1 if the host name is not found', async () => {
      const { code, stderr } = await runCommand(['probe', '-R', '--url', 'http://koa-probes.invalid', ...PATIENT]);
      expect([code, stderr.split('\n').length]).to.deep.equal([1, 2]);
    });

    it('ignores the proxies of the environment', async () => {
      const proxy = `http://127.0.0.1:${String(await freePort())}`;
      const env = { http_proxy: proxy, HTTP_PROXY: proxy, https_proxy: proxy, ALL_PROXY: proxy, NODE_USE_ENV_PROXY: '1' };
      expect((await runCommand(['probe', '-R', '--url', await serveProbes(), ...PATIENT], { env })).code).to.equal(0);
    });

    it('connects over IPv6, and over TLS without a check of the certificate, as the kubelet does', async () => {
      const { port } = (await probeServer(probes, { port: 0, host: '::1' })).address() as AddressInfo;
      expect((await runCommand(['probe', '-R', '--url', `http://[::1]:${String(port)}`, ...PATIENT])).code).to.equal(0);
      const authority = await new Authority().start();
      const server = createTlsServer(await authority.issue({ names: 'DNS:elsewhere' }), (_, response) => response.end('ok')).listen(
        0,
        '127.0.0.1',
      );
      authority.stop();
      await once(server, 'listening');
      closers.push(() => server.close());
      const url = `https://localhost:${String((server.address() as AddressInfo).port)}`;
      expect((await runCommand(['probe', '-R', '--url', url, ...PATIENT])).code).to.equal(0);
    });

    it('prefers a flag to the environment, and there the socket to the URL, and the URL to the port', async () => {
      const nowhere = String(await freePort());
      const url = await serveProbes();
      const [closedUrl, closedSocket] = [`http://127.0.0.1:${nowhere}`, join(folder, 'closed.sock')];
      await probeServer(probes, { socket });
      const passes: [string[], Record<string, string>][] = [
        [['--socket', socket], { PROBE_SOCKET: closedSocket, PROBE_URL: closedUrl, PORT: nowhere }],
        [['--url', url], { PROBE_SOCKET: closedSocket, PROBE_URL: closedUrl, PORT: nowhere }],
        [[], { PROBE_SOCKET: socket, PROBE_URL: closedUrl, PORT: nowhere }],
        [[], { PROBE_SOCKET: '', PROBE_URL: url, PORT: nowhere }],
        [[], { PORT: new URL(url).port }],
      ];
      for (const [flags, env] of passes) expect((await runCommand(['probe', '-R', ...flags, ...PATIENT], { env })).code).to.equal(0);
    });
  });

  describe('with --heartbeat', () => {
    const ask = (kind = '--ready', ...more: string[]) => runCommand(['probe', kind, '--heartbeat', folder, ...more]);
    const bootId = () => run('cat', ['/proc/sys/kernel/random/boot_id']);

    it('exits with 0 while the file of the kind is valid', async () => {
      const heartbeat = probeHeartbeat(probes, { directory: folder });
      await until(async () => (await ask()).code === 0);
      for (const kind of ['--live', '--health', '--startup']) expect(await ask(kind)).to.include({ code: 0, stdout: 'ok\n', stderr: '' });
      heartbeat.stop();
      const { code, stderr } = await ask();
      expect([code, stderr]).to.deep.equal([
        1,
        `koa-probes: the heartbeat ${folder}/ready does not exist: the worker has not started, is draining or has ended. \`probeHeartbeat(probes, { directory })\` writes it.\n`,
      ]);
    });

    it('names the failures', async () => {
      isDown = new Error('secret');
      probeHeartbeat(probes, { directory: folder });
      await until(async () => (await ask()).stderr.startsWith('[-]'));
      expect(await ask()).to.include({ code: 1, stdout: '', stderr: '[-]search failed: reason withheld\n' });
      expect(await ask('--ready', '--quiet')).to.include({ code: 1, stdout: '', stderr: '' });
      expect((await ask('--live')).code).to.equal(0);
    });

    it('counts like the shell: the last second is still valid', async () => {
      const write = async (good: number) => writeFileSync(join(folder, 'ready'), `${String(good)}\n${await bootId()}`);
      await write(Math.floor(uptime()) + 30);
      expect((await ask()).code).to.equal(0);
      await write(Math.floor(uptime()) - 1);
      const { code, stderr } = await ask();
      expect(code).to.equal(1);
      expect(stderr).to.match(/^koa-probes: the heartbeat \S+ has expired: the event loop is blocked, or the worker has ended\.\n$/);
    });

    it('accepts no file from before the last boot, and nothing that is not a heartbeat file', async () => {
      writeFileSync(join(folder, 'ready'), `99999999\n00000000-0000-0000-0000-000000000000\n`);
      expect((await ask()).stderr).to.equal(`koa-probes: the heartbeat ${folder}/ready was written before the last boot of the machine.\n`);
      writeFileSync(join(folder, 'ready'), 'ready');
      expect((await ask()).stderr).to.equal(`koa-probes: ${folder}/ready is not a heartbeat file. Correct --heartbeat.\n`);
      mkdirSync(join(folder, 'live'));
      expect((await ask('--live')).stderr).to.match(/live cannot be read \(EISDIR\)/);
      await run('mkfifo', [join(folder, 'startup')]);
      expect((await ask('--startup')).stderr).to.match(/startup is not a heartbeat file/);
    });
  });

  describe('with --heartbeat, if something else has its path', () => {
    const ask = (...more: string[]) => runCommand(['probe', '--live', '--heartbeat', folder, ...(more.length > 0 ? more : PATIENT)]);
    const path = () => join(folder, 'live');
    const writeGood = (file: string) => writeFileSync(file, `${String(Math.floor(uptime()) + 600)}\n\n`);

    const others: [string, (path: string) => unknown, RegExp][] = [
      [
        'a symbolic link to a heartbeat',
        (file) => (writeGood(`${file}.good`), symlinkSync('live.good', file)),
        /is not a heartbeat file: it is a symbolic link\./,
      ],
      ['a symbolic link to a device', (file) => symlinkSync('/dev/zero', file), /is not a heartbeat file: it is a symbolic link\./],
      ['a symbolic link to nothing', (file) => symlinkSync('nowhere', file), /is not a heartbeat file: it is a symbolic link\./],
      ['a pipe', (file) => run('mkfifo', [file]), /is not a heartbeat file: it is not a regular file\./],
      ['a directory', (file) => mkdirSync(file), /cannot be read \(EISDIR\)\./],
      ['a socket', (file) => probeServer(probes, { socket: file }), /is not a heartbeat file: it is not a regular file\./],
      [
        'a file of 65,537 bytes',
        (file) => (writeGood(file), truncateSync(file, 65_537)),
        /is not a heartbeat file: it is longer than 65536 bytes\./,
      ],
      [
        'a file of a terabyte',
        (file) => (writeGood(file), truncateSync(file, 2 ** 40)),
        /is not a heartbeat file: it is longer than 65536 bytes\./,
      ],
      ['an empty file', (file) => writeFileSync(file, ''), /is not a heartbeat file\. Correct --heartbeat\./],
      [
        'a secret',
        (file) => writeFileSync(file, 'root:hunter2\n\n[-]root:hunter2 failed\nhunter2\n'),
        /is not a heartbeat file\. Correct --heartbeat\./,
      ],
    ];
    if (isRoot) {
      others.push(
        ['a device without an end', (file) => run('mknod', [file, 'c', '1', '5']), /is not a heartbeat file: it is not a regular file\./],
        [
          'a file of another user',
          (file) => (writeGood(file), chownSync(file, 65_534, 65_534)),
          /live belongs to user 65534, who is neither this user nor the owner of the directory\./,
        ],
      );
    }
    for (const [what, make, message] of others) {
      it(`exits with 1 for ${what}`, async () => {
        await make(path());
        const { code, stdout, stderr } = await ask();
        expect([code, stdout]).to.deep.equal([1, '']);
        expect(stderr)
          .to.match(message)
          .and.to.match(/^koa-probes: [^\n]+\n$/);
      });
    }

    it('accepts a heartbeat of 65,536 bytes', async () => {
      writeFileSync(path(), `0\n\n[-]search failed: ${'x'.repeat(65_536)}`.slice(0, 65_536));
      expect((await ask()).stderr).to.match(/^\[-]search failed: x+\.\.\.\n$/);
    });

    if (isRoot) {
      it('accepts the heartbeat of a worker that has dropped root, in its own directory', async () => {
        writeGood(path());
        for (const one of [folder, path()]) chownSync(one, 65_534, 65_534);
        expect(await ask()).to.include({ code: 0, stdout: 'ok\n' });
      });
    }

    if (canMountSilent) {
      it('ends in time if the file system hangs', async () => {
        const mount = await mountSilent(folder);
        try {
          const { code, stderr, durationMs } = await ask('--timeout', '0.9');
          expect([code, stderr]).to.deep.equal([
            'SIGKILL',
            `koa-probes: the heartbeat ${folder}/live could not be read within 0.9 s: its file system hangs.\n`,
          ]);
          expect(durationMs).to.be.within(800, 10_000);
        } finally {
          await mount.remove();
        }
      });
    }
  });

  describe("with --heartbeat '<pattern>' --min <n>", () => {
    const GOOD = () => `${String(Math.floor(uptime()) + 600)}\n\n`;
    const EXPIRED = () => '1\n\n';
    const FAILED = () => '0\n\n[-]search failed: cold\n[-]cache failed: reason withheld\n';
    const write = (worker: string, content: string) => {
      mkdirSync(join(folder, worker), { recursive: true });
      writeFileSync(join(folder, worker, 'ready'), content);
    };
    const ask = (min: number, pattern = `${folder}/*`, ...more: string[]) =>
      runCommand(['probe', '-R', '--heartbeat', pattern, '--min', String(min), ...PATIENT, ...more], { cwd: folder });
    /** The line of the documentation, with builtins of the shell alone. */
    const askShell = (min: number) => {
      const line = `read u _ </proc/uptime; n=0; for f in ${folder}/*/ready; do read d <$f && [ \${u%.*} -le $d ] && n=$((n+1)); done; [ $n -ge ${String(min)} ]`;
      return spawnSync('/bin/sh', ['-c', line], { env: { PATH: '' } }).status;
    };

    it('exits with 0 if enough processes pass, like the shell', async () => {
      write('worker-0', GOOD());
      write('worker-1', EXPIRED());
      write('worker-2', GOOD());
      mkdirSync(join(folder, 'worker-3'));
      writeFileSync(join(folder, 'not-a-directory'), '');
      for (const [min, code] of [
        [1, 0],
        [2, 0],
        [3, 1],
      ] as const) {
        expect((await ask(min)).code).to.equal(code);
        expect(askShell(min)).to.equal(code);
      }
      expect(await ask(2)).to.include({ code: 0, stdout: 'ok\n', stderr: '' });
      expect(await ask(2, `${folder}/*`, '--quiet')).to.include({ code: 0, stdout: '' });
    });

    it('reports how many passed, and why the others failed', async () => {
      write('0', GOOD());
      write('1', EXPIRED());
      write('2', FAILED());
      mkdirSync(join(folder, '3'));
      const { code, stdout, stderr } = await ask(2);
      expect([code, stdout]).to.deep.equal([1, '']);
      expect(stderr.split('\n')).to.deep.equal([
        `[-]${folder}/* failed: 1 of 4 passed, --min is 2`,
        `[-]the heartbeat ${folder}/1/ready has expired: the event loop is blocked, or the worker has ended.`,
        `[-]${folder}/2: search failed: cold`,
        `[-]${folder}/2: cache failed: reason withheld`,
        `[-]the heartbeat ${folder}/3/ready does not exist: the worker has not started, is draining or has ended. \`probeHeartbeat(probes, { directory })\` writes it.`,
        '',
      ]);
      expect(await ask(2, `${folder}/*`, '--quiet')).to.include({ code: 1, stdout: '', stderr: '' });
    });

    const patterns: [string, string[], string][] = [
      ['a part of a name', ['worker-0', 'worker-1', 'cron'], 'worker-*'],
      ['a part in the middle', ['a.0.b', 'a.1.b', 'a00b'], `a.*.b`],
      ['a parent directory', ['web/run', 'jobs/run', 'jobs/other'], '*/run'],
      ['two directories', ['web/0', 'jobs/1'], '*/*/'],
      ['no hidden directory', ['0', '1', '.2'], '*'],
      ['other special characters as they are', ['a+0', 'a+1', 'aa2'], 'a+*'],
    ];
    for (const [what, workers, pattern] of patterns) {
      it(`matches ${what}, relative and absolute`, async () => {
        for (const worker of workers) write(worker, GOOD());
        for (const given of [pattern, join(folder, pattern)]) {
          expect((await ask(2, given)).code).to.equal(0);
          expect((await ask(3, given)).code).to.equal(1);
        }
      });
    }

    it('counts each process once: a symbolic link to a directory does not count', async () => {
      write('0', GOOD());
      symlinkSync('0', join(folder, '1'));
      expect((await ask(2)).code).to.equal(1);
    });

    it('fails if no directory matches', async () => {
      for (const pattern of [`${folder}/*`, `${folder}/missing/*`]) {
        const { code, stderr } = await ask(1, pattern);
        expect(code).to.equal(1);
        expect(stderr).to.match(/^koa-probes: no directory matches \S+: no worker has started\. [^\n]+\n$/);
      }
    });

    it('rejects a pattern that matches thousands of directories', async () => {
      for (let index = 0; index <= 1_000; index += 1) mkdirSync(join(folder, String(index)));
      expect(await ask(1)).to.include({
        code: 1,
        stderr:
          'koa-probes: --heartbeat matches more than 1000 directories. Let each new worker use the directory of the worker that it replaces.\n',
      });
    });
  });

  describe('with control characters', () => {
    // ESC, BEL, DEL, C1, zero-width, bidirectional, line and paragraph separators, a line of its own.
    const NASTY = '\u001B[31m\u0007\u007F\u009B31m\u200B\u200E\u202E\u2066\uFEFF\u2028\u2029\r\n[-]forged failed';
    const cases: [string, string[], Record<string, string>?][] = [
      ['a command', [`pro${NASTY}be`]],
      ['a flag', ['probe', `--re${NASTY}dy`]],
      ['a value that a flag does not take', ['probe', `--ready=${NASTY}`]],
      ['a socket', ['probe', '-R', '--socket', `/tmp/${NASTY}`]],
      ['a URL', ['probe', '-R', '--url', `http://${NASTY}`]],
      ['a heartbeat', ['probe', '-R', '--heartbeat', `/tmp/${NASTY}`]],
      ['a pattern', ['probe', '-R', '--heartbeat', `/tmp/${NASTY}*`, '--min', '1']],
      ['a module', ['probe', '-R', '--app', `./${NASTY}`, ...PATIENT]],
      ['a module to list', ['list', '--app', `./${NASTY}`]],
      ['a timeout', ['probe', '-R', '--timeout', NASTY]],
      ['a number of processes', ['probe', '-R', '--heartbeat', 'a*', '--min', NASTY]],
      ['PORT', ['probe', '-R'], { PORT: NASTY }],
      ['PROBE_URL', ['probe', '-R'], { PROBE_URL: NASTY }],
      ['PROBE_SOCKET', ['probe', '-R'], { PROBE_SOCKET: `/tmp/${NASTY}` }],
    ];
    for (const [what, args, env = {}] of cases) {
      it(`prints none of them, and only one line: ${what}`, async () => {
        const { code, stdout, stderr } = await runCommand(args, { env });
        expect(code).to.be.oneOf([1, 2]);
        expect(stdout).to.equal('');
        expect(stderr)
          .to.match(/^koa-probes: [^\n]+\n$/)
          .and.to.include('forged')
          .and.not.to.match(/[^\P{Cc}\n]|[\p{Cf}\p{Zl}\p{Zp}]/u);
      });
    }

    it('prints none of those in a response', async () => {
      const url = await serve((_, response) => response.writeHead(503).end(`[-]search failed: ${NASTY}`));
      const { stderr } = await runCommand(['probe', '-R', '--url', url, ...PATIENT]);
      expect(stderr).not.to.match(/[^\P{Cc}\n]|[\p{Cf}\p{Zl}\p{Zp}]/u);
    });
  });

  describe('with a wrong command line', () => {
    const wrong: [string, string[], RegExp, Record<string, string>?][] = [
      ['no kind', ['probe', '--url', 'http://x'], /no kind given\. Add one of --live, --ready, --health, --startup\./],
      ['two kinds', ['probe', '-L', '--ready', '--url', 'http://x'], /--live and --ready are two kinds\. Use one command for each kind\./],
      ['an unknown flag', ['probe', '--redy'], /unknown argument "--redy"\. Known arguments: .*--ready/],
      ['an unknown letter', ['probe', '-Rx'], /unknown argument "-Rx"/],
      ['an extra word', ['probe', '-R', 'ready'], /unknown argument "ready"/],
      ['a value for a flag that takes none', ['probe', '--ready=yes'], /--ready takes no value/],
      [
        'a flag without its value',
        ['probe', '-R', '--socket', '--quiet-not'],
        /--socket needs a value: --socket \/run\/app\/probes\.sock\./,
      ],
      ['two ways', ['probe', '-R', '--socket', 'a', '--heartbeat', 'b'], /--socket and --heartbeat cannot be combined\. Use one of them\./],
      ['no address', ['probe', '-R'], /the address of the probes is not set\. Use --socket, /],
      [
        'an invalid port',
        ['probe', '-R'],
        /PORT is "tcp:\/\/10\.0\.0\.1:80", expected a port from 1 to 65535/,
        { PORT: 'tcp://10.0.0.1:80' },
      ],
      ['an invalid URL', ['probe', '-R', '--url', '127.0.0.1:3000'], /--url is "127\.0\.0\.1:3000", expected an http or https URL/],
      ...[
        'ftp://host',
        'http://',
        'http://host:0',
        'http://host:65536',
        'http://host/?a',
        'http://host/#a',
        'http://[::1',
        'http://a b',
        'http://host/\r\nX: y',
      ].map((url): [string, string[], RegExp] => [
        `the URL ${JSON.stringify(url)}`,
        ['probe', '-R', '--url', url],
        /--url is ".*", expected an http or https URL/,
      ]),
      [
        'a URL with a password, which is not repeated',
        ['probe', '-R'],
        /PROBE_URL is "http:\/\/host"/,
        { PROBE_URL: 'http://me:hunter2@host' },
      ],
      ['a timeout of 0', ['probe', '-R', '--timeout', '0'], /--timeout is "0", expected a number of seconds above 0 and up to 3600/],
      ['a negative timeout', ['probe', '-R', '--timeout', '-1'], /--timeout is "-1"/],
      ['a timeout with a unit', ['probe', '-R', '--timeout', '900ms'], /--timeout is "900ms"/],
      ['a timeout beyond an hour', ['probe', '-R', '--timeout=3601'], /--timeout is "3601"/],
      [
        'a pattern without a number',
        ['probe', '-R', '--heartbeat', '/run/*'],
        /--heartbeat is the pattern "\/run\/\*"\. Add the number of processes that must pass: --min 2\./,
      ],
      [
        'a number without a pattern',
        ['probe', '-R', '--heartbeat', '/run', '--min', '1'],
        /--min needs a pattern, but --heartbeat is "\/run"/,
      ],
      ['a number without a heartbeat', ['probe', '-R', '--socket', 'a', '--min', '1'], /--min needs a pattern: --heartbeat/],
      ...['0', '-1', '1.5', '1e2', '1001', 'all'].map((min): [string, string[], RegExp] => [
        `${min} processes`,
        ['probe', '-R', '--heartbeat', '/run/*', '--min', min],
        /--min is ".*", expected a whole number from 1 to 1000: --min 2\./,
      ]),
      ['no command', [], /no command given/],
      [
        'an unknown command',
        ['porbe', '-R'],
        /unknown command "porbe"\. The commands are `probe`, `list`, `openapi`, `manifest` and `lint`\./,
      ],
      ['list without a module', ['list', '--json'], /`list` needs the module with the probes: `--app \.\/dist\/probes\.js`\./],
    ];
    for (const [what, args, message, env = {}] of wrong) {
      it(`exits with 2 and prints the cure in one line: ${what}`, async () => {
        const { code, stdout, stderr } = await runCommand(args, { env });
        expect([code, stdout]).to.deep.equal([2, '']);
        expect(stderr)
          .to.match(/^koa-probes: [^\n]+\n$/)
          .and.to.match(message);
      });
    }
  });

  it('prints its help and its version', async () => {
    for (const args of [['--help'], ['-h'], ['probe', '-h'], ['list', '--help']]) {
      const { code, stdout } = await runCommand(args);
      expect(code).to.equal(0);
      for (const flag of ['-L, --live', '-R, --ready', '-H, --health', '-S, --startup', '-q, --quiet', '--timeout'])
        expect(stdout).to.include(flag);
    }
    for (const args of [['--version'], ['probe', '--version']]) expect((await runCommand(args)).stdout).to.match(/^\d+\.\d+\.\d+\n$/);
  });
});

describe('the modules that koa-probes probe loads', () => {
  /** What the process has loaded beyond a start of Node alone, at its end. */
  const loaded = async (...args: string[]) => {
    const folder = mkdtempSync(join(tmpdir(), 'cli-modules-'));
    const hook = join(folder, 'hook.cjs');
    writeFileSync(
      hook,
      `const before = new Set(process.moduleLoadList);
       process.once('exit', () => {
         const builtins = process.moduleLoadList.filter((name) => !before.has(name) && /^NativeModule (?!internal)/.test(name)).map((name) => name.replace('NativeModule ', ''));
         require('node:fs').writeFileSync(__dirname + '/loaded', JSON.stringify([builtins, Object.keys(require.cache).slice(1).map((file) => file.replace(/.*\\/dist\\//, ''))]));
       });`,
    );
    try {
      const { code } = await runCommand(args, { flags: ['--require', hook] });
      const [builtins, files] = JSON.parse(await run('cat', [join(folder, 'loaded')])) as [string[], string[]];
      return { code, builtins: builtins.toSorted(), files };
    } finally {
      rmSync(folder, { recursive: true });
    }
  };
  const START = ['cli/bin.cjs'];
  const NET = new Set(['diagnostics_channel', 'net', 'stream', 'stream/promises', 'string_decoder']);

  it('are one file and a socket of Node with --socket and --url: no HTTP, no Inversify, no Koa and no code of the application', async () => {
    const probes = new ProbeRegistry({ logger: false });
    const folder = mkdtempSync(join(tmpdir(), 'cli-'));
    const socket = join(folder, 'probes.sock');
    try {
      await probeServer(probes, { socket });
      const url = urlOf(await probeServer(probes, { port: 0, host: '127.0.0.1' }));
      for (const way of [
        ['--socket', socket],
        ['--url', url],
      ]) {
        const { code, builtins, files } = await loaded('probe', '-L', ...way, ...PATIENT);
        expect([code, files]).to.deep.equal([0, START]);
        expect(builtins.filter((name) => !NET.has(name))).to.deep.equal([]);
      }
    } finally {
      probes.close();
      rmSync(folder, { recursive: true });
    }
  });

  it('are one more file and the uptime of Node with --heartbeat', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'cli-'));
    writeFileSync(join(folder, 'live'), `${String(Math.floor(uptime()) + 60)}\n\n`);
    const { code, files, builtins } = await loaded('probe', '-L', '--heartbeat', folder);
    rmSync(folder, { recursive: true });
    expect([code, files]).to.deep.equal([0, [...START, 'cli/heartbeat.cjs']]);
    expect(builtins).to.deep.equal(['os']);
  });
});
