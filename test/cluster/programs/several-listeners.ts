// A worker with an HTTP/2 server, and with a server on a port of its own.
import cluster from 'node:cluster';
import { createServer } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { gracefulShutdown, ProbeRegistry } from 'koa-probes';
import { reportToPrimary } from 'koa-probes/cluster';

const pid = String(process.pid);
const probes = new ProbeRegistry();
const http2 = createHttp2Server((_, response) => response.end(pid));
const own = createServer((_, response) => response.end(pid));
const early = createServer((_, response) => response.end(pid));

let isReady = true;
process.on('SIGUSR2', () => probes.lifecycle.setReady((isReady = !isReady), 'switched off'));
gracefulShutdown([http2, own, early], probes);
early.listen({ port: 0, host: '127.0.0.1', exclusive: true });
reportToPrimary([http2, own, early], probes);
http2.listen({ port: 0, host: '127.0.0.1' });
const port = Number(process.env['FIRST_PORT']) + (cluster.worker?.id ?? 0);
own.listen({ port, host: '127.0.0.1', exclusive: true }, () => console.log(`worker ${pid} has port ${String(port)}`));
