// No option at all. A held piece of work keeps a shutdown that is begun in code going until SIGHUP, where there is a server for the probes.
import type { AddressInfo } from 'node:net';
import { gracefulShutdown, probeServer } from 'koa-probes';
import { announce, startApplication } from './application.js';

const { server, probes } = await startApplication();
const { shutdown } = gracefulShutdown(server, probes);
process.once('SIGUSR2', () => void shutdown('a new release'));
announce(server);
if (process.env['PROBE_SERVER'] === 'yes') {
  const management = await probeServer(probes, { port: 0, host: '127.0.0.1' });
  process.once('SIGHUP', probes.lifecycle.holdShutdown('job'));
  console.log(`probes on ${String((management.address() as AddressInfo).port)}`);
}
