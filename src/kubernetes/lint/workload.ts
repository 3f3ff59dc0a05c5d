import type { ProbeKind } from '../../probe.js';
import { DEFAULT_GRACE_SECONDS, PROBE_DEFAULTS } from '../budget.js';
import type { Cursor } from './cursor.js';
import type { KubernetesObject } from './source.js';

/** Where the spec of the pod is, by kind. Objects of any other kind are not workloads. */
const POD_PATHS: Readonly<Record<string, readonly string[]>> = {
  Pod: [],
  Deployment: ['spec', 'template'],
  StatefulSet: ['spec', 'template'],
  DaemonSet: ['spec', 'template'],
  ReplicaSet: ['spec', 'template'],
  Job: ['spec', 'template'],
  CronJob: ['spec', 'jobTemplate', 'spec', 'template'],
};

export const HANDLERS = ['httpGet', 'exec', 'tcpSocket', 'grpc'] as const;

/** An object that makes pods. */
export interface Workload {
  readonly object: KubernetesObject;
  /** `Deployment shop`. */
  readonly title: string;
  /** A strategic merge patch: what it does not say stands elsewhere. */
  readonly isPatch: boolean;
  /** It runs to its end, and gets no requests. */
  readonly isJob: boolean;
  readonly labels: Readonly<Record<string, unknown>>;
  readonly podSpec: Cursor;
  /** Those that run beside one another: init containers only if they keep running. */
  readonly containers: readonly Container[];
  readonly initContainers: readonly Cursor[];
  readonly graceSeconds: number;
}

export interface Container {
  readonly cursor: Cursor;
  readonly name: string;
  /** An init container that keeps running. */
  readonly isSidecar: boolean;
  readonly probes: readonly PodProbe[];
  /** The variables that the pod spec sets to a text. */
  readonly environment: Readonly<Record<string, string>>;
  /** How long its `preStop` hook sleeps, as far as that can be read; 0 without one. */
  readonly preStopSeconds: number;
}

/** One probe of a container, with the defaults of Kubernetes. */
export interface PodProbe {
  readonly kind: ProbeKind;
  readonly field: string;
  readonly cursor: Cursor;
  readonly periodSeconds: number;
  readonly timeoutSeconds: number;
  readonly failureThreshold: number;
  readonly initialDelaySeconds: number;
}

export function readWorkload(object: KubernetesObject): Workload | undefined {
  const path = POD_PATHS[object.kind];
  const template = path === undefined ? undefined : object.cursor.at(...path);
  const podSpec = template?.get('spec');
  if (template === undefined || podSpec === undefined) return undefined;
  const initContainers = podSpec.get('initContainers')?.items() ?? [];
  const sidecars = initContainers.filter((container) => container.get('restartPolicy')?.text === 'Always');
  const own = podSpec.get('containers')?.items() ?? [];
  const containers = [...own.map((cursor) => readContainer(cursor, false)), ...sidecars.map((cursor) => readContainer(cursor, true))];
  return {
    object,
    title: `${object.kind} ${object.name}`,
    isPatch: !own.some((container) => container.get('image') !== undefined),
    isJob: object.kind === 'Job' || object.kind === 'CronJob',
    labels: (template.at('metadata', 'labels')?.value ?? {}) as Record<string, unknown>,
    podSpec,
    containers,
    initContainers,
    graceSeconds: podSpec.get('terminationGracePeriodSeconds')?.number ?? DEFAULT_GRACE_SECONDS,
  };
}

function readContainer(cursor: Cursor, isSidecar: boolean): Container {
  const probes = (['liveness', 'readiness', 'startup'] as const).flatMap((kind) => {
    const field = `${kind}Probe`;
    const probe = cursor.get(field);
    return probe?.isMap === true ? [readProbe(kind, field, probe)] : [];
  });
  const environment = readEnvironment(cursor);
  const preStopSeconds = readPreStop(cursor.at('lifecycle', 'preStop'));
  return { cursor, isSidecar, probes, environment, preStopSeconds, name: cursor.get('name')?.text ?? '' };
}

/** Those with a text of their own. One that refers to another variable is known to the kubelet alone. */
function readEnvironment(container: Cursor): Record<string, string> {
  const variables = (container.get('env')?.items() ?? []).flatMap((one) => {
    const [name, value] = [one.get('name')?.text, one.get('value')?.text];
    return name === undefined || value === undefined || value.includes('$(') ? [] : [[name, value] as const];
  });
  return Object.fromEntries(variables);
}

function readProbe(kind: ProbeKind, field: string, cursor: Cursor): PodProbe {
  // Kubernetes takes 0 for a field that is not given.
  const number = (name: keyof typeof PROBE_DEFAULTS) => cursor.get(name)?.number || PROBE_DEFAULTS[name];
  return {
    kind,
    field,
    cursor,
    periodSeconds: number('periodSeconds'),
    timeoutSeconds: number('timeoutSeconds'),
    failureThreshold: number('failureThreshold'),
    initialDelaySeconds: number('initialDelaySeconds'),
  };
}

/** `sleep: { seconds: 5 }`, or a command that sleeps. */
function readPreStop(preStop: Cursor | undefined): number {
  const seconds = preStop?.at('sleep', 'seconds')?.number;
  if (seconds !== undefined) return seconds;
  const command = preStop === undefined ? '' : wordsOf(preStop.at('exec', 'command')).join(' ');
  const [, amount = '0', unit = 's'] = /\bsleep\s+(\d+(?:\.\d+)?)([smh]?)/.exec(command) ?? [];
  return Number(amount) * ({ m: 60, h: 3_600 }[unit] ?? 1);
}

/** The words of a command. */
export function wordsOf(command: Cursor | undefined): string[] {
  return command?.items().flatMap((word) => word.text ?? []) ?? [];
}

/** The handlers that a probe has. */
export function handlersOf({ cursor }: PodProbe): string[] {
  return HANDLERS.filter((handler) => cursor.get(handler) !== undefined);
}

/** The number of a port, also if it is a name; undefined if the name is unknown or the port is missing. */
export function portNumber(container: Cursor, port: Cursor | undefined): number | undefined {
  const given = port?.value;
  if (typeof given === 'number') return given;
  if (typeof given !== 'string') return undefined;
  if (/^\d+$/.test(given)) return Number(given);
  return findPort(container, given)?.get('containerPort')?.number;
}

export function findPort(container: Cursor, name: string): Cursor | undefined {
  return container
    .get('ports')
    ?.items()
    .find((port) => port.get('name')?.text === name);
}

/** Labels by selector: each selector is compared with each workload. */
const selected = new WeakMap<object, readonly (readonly [string, unknown])[]>();

/** Whether a selector of labels picks the pods of a workload. */
export function selects(selector: Cursor | undefined, { labels }: Workload): boolean {
  if (selector === undefined) return false;
  const wanted = selected.get(selector.node) ?? Object.entries((selector.value ?? {}) as Record<string, unknown>);
  selected.set(selector.node, wanted);
  return wanted.length > 0 && wanted.every(([name, value]) => labels[name] === value);
}
