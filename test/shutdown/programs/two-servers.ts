// One shutdown of two servers, and a server for the probes beside them.
import type { AddressInfo } from 'node:net';
import { gracefulShutdown, probeServer } from 'koa-probes';
import { announce, startApplication } from './application.js';

const { server, probes } = await startApplication();
const other = await startApplication(probes);
const management = await probeServer(probes, { port: 0, host: '127.0.0.1' });
gracefulShutdown([server, other.server], probes, { drainDelayMs: 0, timeoutMs: 10_000 });
announce(server);
announce(other.server);
console.log(`probes on ${String((management.address() as AddressInfo).port)}`);
