import type { ProbeRegistry } from '../registry/registry.js';

/** How long a shutdown waits for the probe that is being created when it begins. */
const LAST_PROBE_MS = 2_000;

/** A discovery during the start of the application. A shutdown can end it. */
export interface DiscoveryStart {
  /** Resolves while the start goes on. It never resolves after a shutdown has begun: the process is about to exit, and nothing after the discovery may run. */
  proceed(): Promise<void>;
  end(): void;
}

/** Readiness fails until the discovery ends. A shutdown waits until the discovery stops, because the container deactivates what the discovery has created. */
export function beginDiscovery({ lifecycle }: ProbeRegistry): DiscoveryStart {
  const endStart = lifecycle.beginStart('the discovery of the probes');
  const release = lifecycle.holdShutdown('discovery of the probes');
  const limit = () => setTimeout(release, LAST_PROBE_MS).unref();
  lifecycle.shutdownSignal.addEventListener('abort', limit, { once: true });
  return {
    async proceed() {
      if (!lifecycle.isShuttingDown) return;
      release();
      await new Promise(() => {});
    },
    end() {
      lifecycle.shutdownSignal.removeEventListener('abort', limit);
      endStart();
      release();
    },
  };
}
