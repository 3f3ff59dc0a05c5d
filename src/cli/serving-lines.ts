import { PROBE_KINDS } from '../probe.js';
import type { InstalledShutdown, ProbeAnswerer, ProbeServing, ServedPaths, ServedServer, ShutdownTimes } from '../registry/serving.js';
import { toOneLine } from './summary.cjs';

/** Renders one line for each function that answers the probes, and one for each shutdown. */
export function renderServing({ answerers, shutdowns }: ProbeServing): string {
  const answered =
    answerers.length === 0
      ? ['Nothing answers the probes: there is no probeMiddleware(), probeRouter(), probeView(), probeServer() or probeHeartbeat().']
      : ['Answered by:', ...answerers.map((answerer) => `  ${showAnswerer(answerer)}`)];
  const shutDown =
    shutdowns.length === 0 ? ['There is no gracefulShutdown().'] : ['Shut down by:', ...shutdowns.map((one) => `  ${showShutdown(one)}`)];
  return [...answered, ...shutDown].map(indented).join('\n');
}

function showAnswerer(answerer: ProbeAnswerer): string {
  if (answerer.by === 'heartbeat') return `probeHeartbeat() in ${answerer.directory} every ${String(answerer.intervalMs)} ms`;
  if (answerer.by === 'view') return `probeView() for ${answerer.kind}, at a path of the application`;
  const paths = showPaths(answerer.paths);
  if (answerer.by === 'middleware') return `probeMiddleware() at ${paths}`;
  if (answerer.by === 'router') return `probeRouter() at ${paths}, below the prefix where it is mounted`;
  return `probeServer() on ${showAddress(answerer) ?? 'a free port'} at ${paths}`;
}

function showPaths(paths: ServedPaths): string {
  return PROBE_KINDS.map((kind) => `${paths[kind].join(' and ')} (${kind})`).join(', ');
}

function showShutdown({ servers, here, inKubernetes }: InstalledShutdown): string {
  const ended = servers.map(
    (server) => `${server.protocol} on ${showAddress(server) ?? 'a port that is known only when the server listens'}`,
  );
  const what = ended.length === 0 ? 'without a server' : `of ${ended.join(', ')}`;
  return `gracefulShutdown() ${what}: ${showTimes('in Kubernetes', inKubernetes)}; ${showTimes('here', here)}`;
}

function showTimes(where: string, { drainDelayMs, timeoutMs }: ShutdownTimes): string {
  return `at most ${String(timeoutMs)} ms ${where}, including ${String(drainDelayMs)} ms of draining`;
}

function showAddress({ port, host, socket }: Pick<ServedServer, 'port' | 'host' | 'socket'>): string | undefined {
  if (socket !== undefined) return `the socket ${socket}`;
  if (!port) return undefined;
  return host === undefined ? `port ${String(port)}` : `port ${String(port)} of ${host}`;
}

function indented(line: string): string {
  return line.startsWith('  ') ? `  ${toOneLine(line)}` : toOneLine(line);
}
