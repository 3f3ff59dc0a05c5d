import { PROBE_KINDS, type ProbeKind } from '../probe.js';
import type { Application } from './application.js';
import { shutdownTimesInPod } from './budget.js';
import { inOneLine, noted } from './noted.js';
import { describePodEnd } from './pod-end.js';
import { describePodProbe, type PodProbeOptions } from './pod-probes.js';
import { chooseWay, type Way, type WayOptions } from './ways.js';

export interface ManifestOptions extends WayOptions, PodProbeOptions {
  /** Name of the container. */
  readonly container: string;
}

/** In the order in which they run. */
const ORDER = ['startup', 'liveness', 'readiness'] as const;

/** Of the volume for the socket or the heartbeat. */
const VOLUME = 'probes';

/**
 * What the spec of a pod has to say for the probes and the shutdown of an application, each number with its arithmetic.
 *
 * @throws ConfigurationError if nothing that is known answers the probes.
 */
export function describePod(application: Application, options: ManifestOptions): object {
  const { probes, serving } = application;
  const ways = Object.fromEntries(PROBE_KINDS.map((kind) => [kind, chooseWay(serving, kind, options)])) as Record<ProbeKind, Way>;
  const times = shutdownTimesInPod(serving.shutdowns, undefined);
  const end = describePodEnd(serving, options.isPatch);
  const directories = [
    ...new Set(Object.values(ways).flatMap((way) => (way.by === 'exec' && way.directory !== undefined ? [way.directory] : []))),
  ];
  const described = ORDER.map((kind) => [`${kind}Probe`, describePodProbe(kind, ways[kind], probes, times, options)]);
  const ports = listPorts(application, ways, options);
  return {
    terminationGracePeriodSeconds: end.terminationGracePeriodSeconds,
    containers: [
      {
        name: options.container,
        ports: ports.length === 0 ? undefined : ports,
        env: end.environment === undefined ? undefined : [end.environment],
        lifecycle: end.lifecycle,
        ...(Object.fromEntries(described) as object),
        volumeMounts: directories.length === 0 ? undefined : directories.map((mountPath) => inOneLine({ name: VOLUME, mountPath })),
      },
    ],
    volumes:
      directories.length === 0
        ? undefined
        : [noted(inOneLine({ name: VOLUME, emptyDir: { medium: 'Memory' } }), 'in memory: nothing outlives a restart of the machine')],
  };
}

/** The port of the application, and that of the probes if it is another one. A patch gives no names, so that the names that Services refer to stay. */
function listPorts({ serving }: Application, ways: Readonly<Record<ProbeKind, Way>>, { port, isPatch }: ManifestOptions): object[] {
  const own = port ?? serving.shutdowns.flatMap(({ servers }) => servers).find((server) => server.port !== undefined)?.port;
  const asked = Object.values(ways).flatMap((way) => (way.by === 'http' && way.port !== own ? [way.port] : []));
  const names = ['http', 'probes', 'probes-2', 'probes-3'];
  const ports = [own, ...new Set(asked)];
  return ports.flatMap((containerPort, index) =>
    containerPort === undefined ? [] : [inOneLine(isPatch ? { containerPort } : { name: names[index], containerPort })],
  );
}
