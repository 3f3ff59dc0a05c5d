import { Server } from 'node:net';
import { ConfigurationError } from '../errors.js';
import type { ProbeRegistry } from '../registry/registry.js';
import { show } from '../validation.js';

/** Checks for methods and not for the class, because the registry may come from another installed copy of the package. `caller` is the public function, for messages. */
export function checkRegistry(caller: string, probes: Partial<ProbeRegistry> | undefined): void {
  if (typeof probes?.lifecycle?.drain === 'function' && typeof probes.run === 'function') return;
  throw new ConfigurationError(
    `Expected \`probes\` of ${caller} to be a ProbeRegistry, got ${show(probes)}. Pass the registry that discoverProbes() resolves to.`,
  );
}

/** The servers that were given, each once. */
export function readServers(caller: string, servers: Server | readonly Server[]): readonly Server[] {
  const distinct = [...new Set(Array.isArray(servers) ? (servers as readonly Server[]) : [servers as Server])];
  for (const server of distinct) checkServer(caller, server);
  return distinct;
}

function checkServer(caller: string, server: unknown): void {
  if (server instanceof Server) return;
  throw new ConfigurationError(
    `Expected \`servers\` of ${caller} to be a server or an array of servers, got ${show(server)}. Pass the server that app.listen() returns, or \`[]\` for a worker without a server.`,
  );
}
