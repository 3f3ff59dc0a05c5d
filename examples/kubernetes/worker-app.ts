// The worker without its jobs: `koa-probes manifest` and `koa-probes lint` import this file.
import { discoverProbes, gracefulShutdown, LivenessProbe, ProbeRegistry, probeServer } from 'koa-probes';

let lastJobAt = performance.now();

export function noteJob(): void {
  lastJobAt = performance.now();
}

/** Fails if the worker takes no more jobs. */
@LivenessProbe()
export class JobsProbe {
  check() {
    const idleSeconds = Math.round((performance.now() - lastJobAt) / 1_000);
    if (idleSeconds > 60) throw new Error(`no job for ${String(idleSeconds)} s`);
    return { idleSeconds };
  }
}

export const probes = new ProbeRegistry();
gracefulShutdown([], probes, { timeoutMs: 55_000 }); // the longest job
const directory = process.env['PROBE_DIRECTORY'] ?? '/run/app';
await probeServer(probes, { socket: `${directory}/probes.sock` });
await discoverProbes(undefined, { registry: probes });
