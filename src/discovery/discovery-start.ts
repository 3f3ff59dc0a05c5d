import type { ProbeRegistry } from '../registry/registry.js';

/** Time in milliseconds that a shutdown gives to the probe that is being made when it begins. */
const LAST_PROBE_MS = 2_000;

/** A discovery as part of a start, which a shutdown may end. */
export interface DiscoveryStart {
  /** Resolves while the start goes on, and never once a shutdown has begun: the process is about to end, and what comes after the discovery is not to begin. */
  proceed(): Promise<void>;
  end(): void;
}

/** Readiness fails until its end. A shutdown waits until the discovery stops, for what it has made is to be deactivated. */
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
