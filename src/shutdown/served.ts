import type { Server } from 'node:net';
import type { InstalledShutdown, ServedServer } from '../registry/serving.js';
import type { ResolvedShutdownOptions, ShutdownOptions } from './options.js';

/** Describes a shutdown for the registry. The addresses are the current ones, because most servers start to listen later. */
export function describeShutdown(
  servers: readonly Server[],
  { drainDelayMs, timeoutMs, terminationGracePeriodSeconds }: ShutdownOptions,
  resolved: ResolvedShutdownOptions,
): InstalledShutdown {
  return {
    servers: servers.map(describeServer),
    signals: resolved.signals,
    here: { drainDelayMs: resolved.drainDelayMs, timeoutMs: resolved.timeoutMs },
    inKubernetes: resolved.inKubernetes,
    given: { drainDelayMs, timeoutMs, terminationGracePeriodSeconds },
  };
}

function describeServer(server: Server): ServedServer {
  const protocol = protocolOf(server);
  const address = server.address();
  if (address === null) return { protocol, port: undefined, host: undefined, socket: undefined };
  if (typeof address === 'string') return { protocol, port: undefined, host: undefined, socket: address };
  const isAny = address.address === '::' || address.address === '0.0.0.0';
  // The port is 0 if a command holds the application back. The real port is another one each time.
  return { protocol, port: address.port || undefined, host: isAny ? undefined : address.address, socket: undefined };
}

/** Checks the methods of the server, so that the modules of HTTPS and HTTP/2 need not be loaded. */
function protocolOf(server: Server): ServedServer['protocol'] {
  const isSecure = 'setSecureContext' in server;
  if ('updateSettings' in server) return isSecure ? 'http2' : 'h2c';
  if ('closeIdleConnections' in server) return isSecure ? 'https' : 'http';
  return 'tcp';
}
