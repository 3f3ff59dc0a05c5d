import { mkdtempSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createSecureServer, createServer as createHttp2Server } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { createServer as createTcpServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import Koa from 'koa';
import { gracefulShutdown, probeHeartbeat, probeMiddleware, ProbeRegistry, probeServer } from 'koa-probes';
import { probeRouter, probeView } from 'koa-probes/router';

const DEFAULT_PATHS = { liveness: ['/livez', '/healthz'], readiness: ['/readyz'], startup: ['/startupz'] };

describe('probes.serving', () => {
  let probes: ProbeRegistry;
  let folder: string;
  beforeEach(() => {
    probes = new ProbeRegistry({ logger: false });
    folder = mkdtempSync(join(tmpdir(), 'serving-'));
  });
  afterEach(() => {
    probes.close();
    rmSync(folder, { recursive: true });
  });

  it('is empty while nothing answers probes and no shutdown is installed', () => {
    expect(probes.serving).to.deep.equal({ answerers: [], shutdowns: [] });
  });

  it('contains the paths and the options of probeMiddleware() before any request', () => {
    new Koa().use(probeMiddleware(probes));
    const paths = { liveness: '/alive', readiness: ['/ready', '/warm'] };
    probeMiddleware(probes, { paths, details: () => true, format: 'json' });
    expect(probes.serving.answerers).to.deep.equal([
      { by: 'middleware', paths: DEFAULT_PATHS, details: 'public', format: 'auto' },
      {
        by: 'middleware',
        paths: { liveness: ['/alive'], readiness: ['/ready', '/warm'], startup: ['/startupz'] },
        details: 'some',
        format: 'json',
      },
    ]);
  });

  it('contains the paths of probeRouter() with a prefix that is set later, and the kind of probeView()', () => {
    const router = probeRouter(probes, { paths: { startup: '/started' } });
    router.prefix('/internal');
    probeView(probes, 'readiness', { details: 'all' });
    expect(probes.serving.answerers).to.deep.equal([
      {
        by: 'router',
        paths: { liveness: ['/internal/livez', '/internal/healthz'], readiness: ['/internal/readyz'], startup: ['/internal/started'] },
        details: 'public',
        format: 'auto',
      },
      { by: 'view', kind: 'readiness', details: 'all', format: 'auto' },
    ]);
  });

  it('contains the address of probeServer() as it was given, until the server is closed', async () => {
    const server = await probeServer(probes, { port: 0, host: '127.0.0.1' });
    const socket = join(folder, 'probes.sock');
    await probeServer(probes, { socket });
    const both = { by: 'server', paths: DEFAULT_PATHS, details: 'public', format: 'auto' };
    const onSocket = { ...both, port: undefined, host: undefined, socket };
    expect(probes.serving.answerers).to.deep.equal([{ ...both, port: 0, host: '127.0.0.1', socket: undefined }, onSocket]);
    server.close();
    await once(server, 'close');
    expect(probes.serving.answerers).to.deep.equal([onSocket]);
  });

  it('contains nothing about a probeServer() that could not listen', async () => {
    const failure: unknown = await probeServer(probes, { socket: join(folder, 'missing', 'probes.sock') }).catch((error: unknown) => error);
    expect(failure).to.be.an('error');
    expect(probes.serving.answerers).to.deep.equal([]);
  });

  it('contains the directory, the interval and the files of probeHeartbeat() until it is stopped', () => {
    const heartbeat = probeHeartbeat(probes, { directory: folder, intervalMs: 60_000 });
    const files = { liveness: 'live', readiness: 'ready', startup: 'startup' };
    expect(probes.serving.answerers).to.deep.equal([{ by: 'heartbeat', directory: folder, intervalMs: 60_000, files }]);
    heartbeat.stop();
    expect(probes.serving.answerers).to.deep.equal([]);
  });

  it('contains the times of gracefulShutdown() here and in a pod, and the given options, until it is uninstalled', () => {
    const worker = gracefulShutdown([], probes, { timeoutMs: 55_000, terminationGracePeriodSeconds: 60, signals: ['SIGUSR2'] });
    const server = createServer();
    const service = gracefulShutdown(server, probes, { terminationGracePeriodSeconds: 12 });
    const [first, second] = probes.serving.shutdowns;
    expect(first).to.deep.equal({
      servers: [],
      signals: ['SIGUSR2'],
      here: { drainDelayMs: 0, timeoutMs: 55_000 },
      inKubernetes: { drainDelayMs: 0, timeoutMs: 55_000 },
      given: { drainDelayMs: undefined, timeoutMs: 55_000, terminationGracePeriodSeconds: 60 },
    });
    expect(second).to.deep.include({
      here: { drainDelayMs: 0, timeoutMs: 10_000 },
      inKubernetes: { drainDelayMs: 5_000, timeoutMs: 10_000 },
      given: { drainDelayMs: undefined, timeoutMs: undefined, terminationGracePeriodSeconds: 12 },
    });
    worker.uninstall();
    service.uninstall();
    expect(probes.serving.shutdowns).to.deep.equal([]);
  });

  it('contains the protocol of a server of gracefulShutdown(), and its port as soon as it listens', async () => {
    const servers = [createServer(), createHttpsServer(), createHttp2Server(), createSecureServer({ allowHTTP1: true }), createTcpServer()];
    const { uninstall } = gracefulShutdown(servers, probes, { signals: [] });
    const readServers = () => probes.serving.shutdowns[0]?.servers ?? [];
    expect(readServers().map(({ protocol }) => protocol)).to.deep.equal(['http', 'https', 'h2c', 'http2', 'tcp']);
    for (const server of readServers()) expect(server).to.include({ port: undefined, host: undefined, socket: undefined });

    const [first, second, third] = servers;
    const socket = join(folder, 'app.sock');
    const listening = [first, second, third].map((server) => once(server!, 'listening'));
    first?.listen(0);
    second?.listen(0, '127.0.0.1');
    third?.listen(socket);
    await Promise.all(listening);
    const portOf = (index: number) => (servers[index]!.address() as AddressInfo).port;
    expect(readServers().slice(0, 3)).to.deep.equal([
      { protocol: 'http', port: portOf(0), host: undefined, socket: undefined },
      { protocol: 'https', port: portOf(1), host: '127.0.0.1', socket: undefined },
      { protocol: 'h2c', port: undefined, host: undefined, socket },
    ]);
    await Promise.all([first, second, third].map((server) => new Promise((resolve) => server?.close(resolve))));
    uninstall();
  });

  it('is a frozen copy that later calls do not change', () => {
    const readiness = ['/ready'];
    probeMiddleware(probes, { paths: { readiness } });
    const { serving } = probes;
    readiness.push('/later');
    probeMiddleware(probes);
    expect(serving.answerers).to.have.lengthOf(1);
    expect(serving.answerers[0]).to.deep.include({ paths: { ...DEFAULT_PATHS, readiness: ['/ready'] } });
    expect(() => (serving.answerers as unknown[]).push(1)).to.throw(TypeError);
    expect(Object.isFrozen((serving.answerers[0] as { paths: { readiness: object } }).paths.readiness)).to.equal(true);
  });
});

describe('probes.list()', () => {
  it('reports what a probe checks outside the process as soon as it is known', async () => {
    const { checkTcp } = await import('koa-probes/checks');
    const probes = new ProbeRegistry({ logger: false });
    probes.register({ name: 'queue', kinds: ['liveness'], check: (context) => checkTcp({ host: '127.0.0.1', port: 1 }, context) });
    expect(probes.list()[0]?.outside).to.equal(undefined);
    await probes.run('liveness');
    expect(probes.list()[0]?.outside).to.be.a('string');
    probes.close();
  });
});
