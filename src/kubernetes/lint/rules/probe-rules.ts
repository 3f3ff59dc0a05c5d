import { isDeepStrictEqual } from 'node:util';
import type { Cursor } from '../cursor.js';
import { fieldsOf, likelyField, type FieldOwner } from '../fields.js';
import { fileRule, type Fault, type Rule, type Subject } from '../rule.js';
import { findPort, HANDLERS, handlersOf, selects, type Container, type PodProbe } from '../workload.js';

/** A container that does not answer for this long is restarted. Less, and a pause of the garbage collector or of the node does it. */
const SHORTEST_TOLERANCE_SECONDS = 10;
/** Longer waits belong into a startup probe. */
const LONGEST_INITIAL_DELAY_SECONDS = 10;

/** What the file alone says of the probes. */
export const PROBE_RULES: readonly Rule[] = [
  fileRule(
    'port-name-unknown',
    'error',
    'A probe asks for a port by a name that the container does not have, so it never gets a result.',
    (subject) =>
      subject.workload.isPatch
        ? []
        : eachContainer(subject).flatMap(({ cursor, probes }) =>
            [...probes.map((probe) => probe.cursor), ...hooksOf(cursor)].flatMap((asker) => unknownPort(cursor, asker)),
          ),
  ),
  fileRule(
    'success-threshold',
    'error',
    'The apiserver refuses a liveness or startup probe with a successThreshold other than 1.',
    (subject) =>
      eachProbe(subject).flatMap(({ kind, field, cursor }) => {
        const threshold = cursor.get('successThreshold');
        if (kind === 'readiness' || threshold === undefined || threshold.number === 1 || threshold.number === 0) return [];
        const fix = { map: cursor, key: 'successThreshold', value: 1 };
        return [{ at: threshold, message: `successThreshold of ${field} must be 1, and it is ${String(threshold.text)}.`, fix }];
      }),
  ),
  fileRule('handler-count', 'error', 'A probe has exactly one handler: httpGet, exec, tcpSocket or grpc.', (subject) =>
    eachProbe(subject).flatMap((probe) => {
      const handlers = handlersOf(probe);
      if (handlers.length === 1 || (handlers.length === 0 && subject.workload.isPatch)) return [];
      const found = handlers.length === 0 ? 'no handler' : `${String(handlers.length)} handlers, ${handlers.join(' and ')}`;
      return [{ at: probe.cursor, message: `${probe.field} has ${found}. Give it one of ${HANDLERS.join(', ')}.` }];
    }),
  ),
  fileRule('unknown-field', 'error', 'Kubernetes does not know the field, so what it says has no effect.', ({ workload }) => [
    ...unknownFields(workload.podSpec, 'PodSpec'),
    ...[
      ...workload.containers.map(({ cursor }) => cursor),
      ...workload.initContainers.filter((one) => one.get('restartPolicy')?.text !== 'Always'),
    ].flatMap(unknownInContainer),
  ]),
  fileRule(
    'same-probe',
    'warn',
    'Liveness asks what readiness asks and gives up as early, so a pod that should only get no requests is restarted.',
    (subject) =>
      eachContainer(subject).flatMap(({ probes }) => {
        const [liveness, readiness] = [findProbe(probes, 'liveness'), findProbe(probes, 'readiness')];
        if (liveness === undefined || readiness === undefined || !haveSameHandler(liveness, readiness)) return [];
        if (toleranceOf(liveness) > toleranceOf(readiness)) return [];
        return [
          {
            at: liveness.cursor,
            message: `livenessProbe asks what readinessProbe asks, and restarts the container after ${times(liveness)}, no later than readiness takes it out of rotation, after ${times(readiness)}. Ask /livez, or give liveness more failures.`,
          },
        ];
      }),
  ),
  fileRule(
    'liveness-tight',
    'warn',
    'Liveness restarts the container after a short pause, which load or a busy node can cause.',
    (subject) =>
      eachProbe(subject).flatMap((probe) => {
        if (probe.kind !== 'liveness') return [];
        if (probe.failureThreshold > 1 && toleranceOf(probe) >= SHORTEST_TOLERANCE_SECONDS) return [];
        return [
          {
            at: probe.cursor,
            message: `livenessProbe restarts the container after ${times(probe)}. Give it at least 2 failures and ${String(SHORTEST_TOLERANCE_SECONDS)} s: the default is 10 s × 3.`,
          },
        ];
      }),
  ),
  fileRule(
    'initial-delay',
    'warn',
    'A fixed delay is too short for a slow start and too long for a quick one. A startup probe waits as long as it must.',
    (subject) =>
      eachContainer(subject).flatMap(({ probes }) => {
        if (findProbe(probes, 'startup') !== undefined) return [];
        return probes.flatMap(({ field, cursor, initialDelaySeconds }) => {
          const at = cursor.get('initialDelaySeconds');
          if (at === undefined || initialDelaySeconds <= LONGEST_INITIAL_DELAY_SECONDS) return [];
          return [
            {
              at,
              message: `${field} waits ${String(initialDelaySeconds)} s at every start. Replace initialDelaySeconds by a startupProbe.`,
            },
          ];
        });
      }),
  ),
];

export function eachContainer({ workload }: Subject): readonly Container[] {
  return workload.containers;
}

export function eachProbe(subject: Subject): PodProbe[] {
  return eachContainer(subject).flatMap(({ probes }) => probes);
}

export function findProbe(probes: readonly PodProbe[], kind: PodProbe['kind']): PodProbe | undefined {
  return probes.find((probe) => probe.kind === kind);
}

/** How long a probe may fail before Kubernetes acts. */
function toleranceOf({ periodSeconds, failureThreshold }: PodProbe): number {
  return periodSeconds * failureThreshold;
}

/** `30 s (10 s × 3)`. */
export function times(probe: PodProbe): string {
  return `${String(toleranceOf(probe))} s (${String(probe.periodSeconds)} s × ${String(probe.failureThreshold)})`;
}

/** Name of the Service that sends requests to the pods of a workload, if there is one in the files. */
export function findService({ workload, objects }: Subject): string | undefined {
  if (workload.isJob || workload.isPatch) return undefined;
  const service = objects.find(
    ({ kind, namespace, cursor }) =>
      kind === 'Service' &&
      namespace === workload.object.namespace &&
      cursor.at('spec', 'publishNotReadyAddresses')?.value !== true &&
      selects(cursor.at('spec', 'selector'), workload),
  );
  return service?.name;
}

function haveSameHandler(a: PodProbe, b: PodProbe): boolean {
  return HANDLERS.every((handler) => isDeepStrictEqual(asked(a.cursor.get(handler)), asked(b.cursor.get(handler))));
}

/** Without the headers, which may only say which probe asks. */
function asked(handler: Cursor | undefined): unknown {
  const value = handler?.value;
  return typeof value === 'object' && value !== null ? { ...value, httpHeaders: undefined } : value;
}

function hooksOf(container: Cursor): Cursor[] {
  return ['postStart', 'preStop'].flatMap((hook) => container.at('lifecycle', hook) ?? []);
}

function unknownPort(container: Cursor, asker: Cursor): Fault[] {
  return ['httpGet', 'tcpSocket', 'grpc'].flatMap((handler) => {
    const port = asker.at(handler, 'port');
    const name = typeof port?.value === 'string' && !/^\d+$/.test(port.value) ? port.value : undefined;
    if (port === undefined || name === undefined || findPort(container, name) !== undefined) return [];
    const names = (container.get('ports')?.items() ?? []).flatMap((one) => one.get('name')?.text ?? []);
    const known = names.length === 0 ? 'It names no port.' : `It names ${names.join(', ')}.`;
    return [{ at: port, message: `Container ${container.get('name')?.text ?? ''} has no port named "${name}". ${known}` }];
  });
}

function unknownInContainer(container: Cursor): Fault[] {
  const probe = (cursor: Cursor | undefined): Fault[] =>
    cursor === undefined
      ? []
      : [
          ...unknownFields(cursor, 'Probe'),
          ...unknownFields(cursor.get('httpGet'), 'HTTPGetAction'),
          ...unknownFields(cursor.get('exec'), 'ExecAction'),
          ...unknownFields(cursor.get('tcpSocket'), 'TCPSocketAction'),
          ...unknownFields(cursor.get('grpc'), 'GRPCAction'),
        ];
  return [
    ...unknownFields(container, 'Container'),
    ...['livenessProbe', 'readinessProbe', 'startupProbe'].flatMap((field) => probe(container.get(field))),
    ...unknownFields(container.get('lifecycle'), 'Lifecycle'),
    ...hooksOf(container).flatMap((hook) =>
      unknownFields(hook, 'LifecycleHandler').concat(unknownFields(hook.get('sleep'), 'SleepAction')),
    ),
    ...(container.get('ports')?.items() ?? []).flatMap((port) => unknownFields(port, 'ContainerPort')),
  ];
}

function unknownFields(cursor: Cursor | undefined, owner: FieldOwner): Fault[] {
  if (cursor?.isMap !== true) return [];
  const known = fieldsOf(owner);
  return cursor.keys().flatMap((key) => {
    // `$patch` and the like are directives of a patch.
    if (known.includes(key) || key.startsWith('$')) return [];
    const likely = likelyField(owner, key);
    const isFree = likely !== undefined && !cursor.keys().includes(likely);
    const at = cursor.keyAt(key) ?? cursor;
    const hint = likely === undefined ? '' : ` Did you mean \`${likely}\`?`;
    return [{ at, message: `${owner} has no field \`${key}\`.${hint}`, fix: isFree ? { map: cursor, key, name: likely } : undefined }];
  });
}
