import type { ServerResponse } from 'node:http';
import type { ProbeKind } from '../probe.js';
import { COMPLAINT_PAUSES_MS, Pace } from '../registry/pace.js';
import type { ProbeRegistry } from '../registry/registry.js';

/** Told of each answer whether its client had gone. Says it once, until an answer of that kind is delivered again; from the third time on ever more rarely. */
export function createHangUpLog(probes: ProbeRegistry): (kind: ProbeKind, isGone: boolean) => void {
  const reported = new Set<ProbeKind>();
  const paces: Partial<Record<ProbeKind, Pace>> = {};
  return (kind, isGone) => {
    if (!isGone) {
      if (reported.size > 0) reported.delete(kind);
      return;
    }
    if (reported.has(kind)) return;
    reported.add(kind);
    if (!(paces[kind] ??= new Pace(COMPLAINT_PAUSES_MS)).take(performance.now())) return;
    const deadlineMs = probes.deadlineOf(kind);
    probes.logger.warn(
      `a ${kind} prober hung up before its answer was there, so Kubernetes counts a failure and no reason: its timeout is shorter than the deadline of ${kind}, ${String(deadlineMs)} ms. ` +
        `Set \`timeoutSeconds: ${String(Math.ceil((deadlineMs + 1) / 1_000))}\` in the pod spec, or lower \`timeoutMs\` of the slow probe.`,
      { kinds: [kind] },
    );
  };
}

/** HTTP/2 has a stream for each response. A response that was sent by somebody else meanwhile was not hung up on. */
export function isClientGone(response: ServerResponse & { readonly stream?: { readonly destroyed: boolean } }): boolean {
  if (response.writableEnded) return false;
  return response.stream?.destroyed ?? (response.closed || response.socket?.destroyed === true);
}
