// How the pod asks for the probes, and how the worker ends. It takes no job, so that `koa-probes manifest --app` and `koa-probes lint --app` can import it.
import { gracefulShutdown, probeHeartbeat, probeServer } from 'koa-probes';
import { registry as probes } from './probes.js';

/** Of this process alone, in memory. */
const directory = process.env['PROBE_DIRECTORY'] ?? '/run/app';

probeHeartbeat(probes, { directory, intervalMs: 1_000 });
await probeServer(probes, { socket: `${directory}/probes.sock` });
export const shutdown = gracefulShutdown([], probes, { timeoutMs: 55_000 }); // the longest job, and some time to spare
export { probes };
