import type { ServerResponse } from 'node:http';
import type { ProbeKind } from '../probe.js';
import type { ProbeRegistry } from '../registry/registry.js';

/** Whether the client is still there for the answer. Says it once if it is not, until an answer of that kind is delivered again. */
export function createHangUpLog(probes: ProbeRegistry): (kind: ProbeKind, response: ServerResponse) => void {
  const reported = new Set<ProbeKind>();
  return (kind, response) => {
    if (!isGone(response)) {
      if (reported.size > 0) reported.delete(kind);
      return;
    }
    if (reported.has(kind)) return;
    reported.add(kind);
    const deadlineMs = probes.deadlineOf(kind);
    probes.logger.warn(
      `a ${kind} prober hung up before its answer was there, so Kubernetes counts a failure and no reason: its timeout is shorter than the deadline of ${kind}, ${String(deadlineMs)} ms. ` +
        `Set \`timeoutSeconds: ${String(Math.ceil((deadlineMs + 1) / 1_000))}\` in the pod spec, or lower \`timeoutMs\` of the slow probe.`,
    );
  };
}

/** HTTP/2 has a stream for each response. A response that was sent by somebody else meanwhile was not hung up on. */
function isGone(response: ServerResponse & { readonly stream?: { readonly destroyed: boolean } }): boolean {
  if (response.writableEnded) return false;
  return response.stream?.destroyed ?? (response.closed || response.socket?.destroyed === true);
}
