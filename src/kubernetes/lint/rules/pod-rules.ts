import { SPARE_GRACE_SECONDS } from '../../budget.js';
import type { Cursor } from '../cursor.js';
import { fileRule, type Fault, type Rule, type Subject } from '../rule.js';
import type { KubernetesObject } from '../source.js';
import { portNumber, selects, wordsOf, type Container, type Workload } from '../workload.js';
import { scriptOf } from '../commands.js';
import { eachContainer, findService } from './probe-rules.js';

const DEFAULT_MAX_UNAVAILABLE = '25%';
const DEFAULT_PROGRESS_DEADLINE_SECONDS = 600;

/** Names by which people call a port that speaks HTTP/2 without TLS. */
const H2C_NAME = /^(?:h2c|grpc)(?:-|$)/;
const H2C_PROTOCOLS: ReadonlySet<string | undefined> = new Set(['kubernetes.io/h2c', 'h2c', 'grpc']);

/** Of init containers that are over, and of Jobs, much of this is no fault. */
export const POD_RULES: readonly Rule[] = [
  fileRule(
    'readiness-missing',
    'error',
    'A Service sends requests to a pod without a readiness probe before it can answer them, in every rollout.',
    (subject) => {
      const service = findService(subject);
      const { containers, title } = subject.workload;
      if (service === undefined || containers.some(({ probes }) => probes.some(({ kind }) => kind === 'readiness'))) return [];
      const [first] = containers;
      return first === undefined
        ? []
        : [{ at: first.cursor, message: `Service ${service} sends requests to ${title}, and no container has a readinessProbe.` }];
    },
  ),
  fileRule(
    'grace-below-prestop',
    'error',
    'The preStop hook counts into the grace period. If it takes all of it, the process is killed without a SIGTERM that it could act on.',
    (subject) =>
      eachContainer(subject).flatMap(({ cursor, preStopSeconds }) => {
        const { graceSeconds, podSpec } = subject.workload;
        if (preStopSeconds === 0 || preStopSeconds < graceSeconds) return [];
        const needed = preStopSeconds + 25 + SPARE_GRACE_SECONDS;
        return [
          {
            at: podSpec.get('terminationGracePeriodSeconds') ?? cursor.at('lifecycle', 'preStop') ?? cursor,
            message: `The preStop hook sleeps ${String(preStopSeconds)} s, and the grace period is ${String(graceSeconds)} s. Nothing is left for the shutdown.`,
            fix: { map: podSpec, key: 'terminationGracePeriodSeconds', value: needed },
          },
        ];
      }),
  ),
  fileRule('pdb-blocks', 'error', 'The budget allows no pod to go, so no node can be drained.', (subject) =>
    findBudgets(subject).flatMap((budget) => blockedBy(budget, subject)),
  ),
  fileRule('rollout-loses', 'error', 'The rollout takes pods away before new ones are ready.', (subject) =>
    findService(subject) === undefined ? [] : losesInRollout(subject.workload),
  ),
  fileRule(
    'pid1-shell',
    'warn',
    'With a shell or npm as PID 1, SIGTERM does not reach the application, and its shutdown does not run.',
    ({ workload }) => {
      if (workload.isJob || workload.podSpec.get('shareProcessNamespace')?.value === true) return [];
      return workload.containers.flatMap(({ cursor }) => {
        const at = cursor.get('command');
        const program = firstProgram([...wordsOf(at), ...wordsOf(cursor.get('args'))]);
        if (at === undefined || program === undefined) return [];
        return [
          {
            at,
            message: `PID 1 of container ${cursor.get('name')?.text ?? ''} is ${program}, and SIGTERM does not reach the application. Start node itself, or \`exec node …\` as the last command of the shell.`,
          },
        ];
      });
    },
  ),
  fileRule(
    'h2c-httpget',
    'error',
    'The kubelet speaks HTTP/1.1. A port that speaks HTTP/2 without TLS fails every httpGet probe.',
    (subject) =>
      eachContainer(subject).flatMap((container) =>
        container.probes.flatMap(({ field, cursor }) => {
          const port = cursor.at('httpGet', 'port');
          if (port === undefined || cursor.at('httpGet', 'scheme')?.text === 'HTTPS') return [];
          const speaks = speaksH2c(container, port, subject);
          if (speaks === undefined) return [];
          return [
            {
              at: port,
              message: `${field} asks port ${String(port.text)} by HTTP/1.1, and ${speaks}. Answer the probes on a port of their own: \`probeServer(probes, { port })\`.`,
            },
          ];
        }),
      ),
  ),
];

/** The shell or the package manager that stays PID 1. */
function firstProgram(words: readonly string[]): string | undefined {
  const [program = ''] = words;
  if (/(?:^|\/)(?:npm|npx|yarn|pnpm)$/.test(program)) return program;
  const script = scriptOf(words);
  if (script === undefined) return undefined;
  // It hands itself over, waits for signals itself, or is a bash, which executes a single command in its own place.
  const isFine = /\bexec\s+\S/.test(script) || /\btrap\b/.test(script) || (program.endsWith('bash') && !/[;&|\n]/.test(script.trim()));
  return isFine ? undefined : program;
}

function speaksH2c({ cursor }: Container, port: Cursor, { application, workload, objects }: Subject): string | undefined {
  const number = portNumber(cursor, port);
  const declared = cursor
    .get('ports')
    ?.items()
    .find((one) => one.get('containerPort')?.number === number);
  const name = declared?.get('name')?.text ?? '';
  if (
    application?.serving.shutdowns.some(({ servers }) => servers.some((server) => server.protocol === 'h2c' && server.port === number)) ===
    true
  ) {
    return 'the code speaks HTTP/2 without TLS there';
  }
  if (H2C_NAME.test(name)) return `its name, ${name}, says that it speaks HTTP/2`;
  const service = objects.find(
    ({ kind, cursor: one }) => kind === 'Service' && selects(one.at('spec', 'selector'), workload) && hasH2cPort(one, number, name),
  );
  return service && `the appProtocol of Service ${service.name} says that it speaks HTTP/2`;
}

function hasH2cPort(service: Cursor, number: number | undefined, name: string): boolean {
  return (service.at('spec', 'ports')?.items() ?? []).some((port) => {
    const target = port.get('targetPort')?.value ?? port.get('port')?.value;
    return H2C_PROTOCOLS.has(port.get('appProtocol')?.text) && (target === number || (name !== '' && target === name));
  });
}

function findBudgets({ workload, objects }: Subject): KubernetesObject[] {
  if (workload.isJob || workload.isPatch || workload.object.kind === 'DaemonSet') return [];
  return objects.filter(
    ({ kind, namespace, cursor }) =>
      kind === 'PodDisruptionBudget' &&
      namespace === workload.object.namespace &&
      cursor.at('spec', 'selector', 'matchExpressions') === undefined &&
      selects(cursor.at('spec', 'selector', 'matchLabels'), workload),
  );
}

function blockedBy({ name, cursor }: KubernetesObject, subject: Subject): Fault[] {
  const replicas = leastReplicas(subject);
  const [maxUnavailable, minAvailable] = [cursor.at('spec', 'maxUnavailable'), cursor.at('spec', 'minAvailable')];
  const says = `PodDisruptionBudget ${name} allows no pod of ${subject.workload.title} to go:`;
  if (maxUnavailable !== undefined && ['0', '0%'].includes(maxUnavailable.text ?? '')) {
    return [{ at: maxUnavailable, message: `${says} maxUnavailable is ${String(maxUnavailable.text)}. Set it to 1.` }];
  }
  // Somebody else decides how many there are, or there are none.
  if (minAvailable === undefined || replicas === undefined || replicas === 0) return [];
  // Kubernetes rounds it up.
  if (resolve(minAvailable.value, replicas, Math.ceil) < replicas) return [];
  const message = `${says} minAvailable is ${String(minAvailable.text)} of ${String(replicas)}. Use \`maxUnavailable: 1\`, or more replicas.`;
  return [{ at: minAvailable, message }];
}

/** The replicas of the workload, or the fewest that an autoscaler leaves. Undefined if the files do not say. */
function leastReplicas({ workload, objects }: Subject): number | undefined {
  const { object } = workload;
  const scaler = objects.find(({ kind, cursor }) => {
    const target = kind === 'HorizontalPodAutoscaler' ? cursor.at('spec', 'scaleTargetRef') : undefined;
    return target?.get('kind')?.text === object.kind && target.get('name')?.text === object.name;
  });
  if (scaler !== undefined) return scaler.cursor.at('spec', 'minReplicas')?.number ?? 1;
  return object.kind === 'Pod' ? 1 : object.cursor.at('spec', 'replicas')?.number;
}

function losesInRollout({ object, title, podSpec }: Workload): Fault[] {
  if (object.kind !== 'Deployment') return [];
  const spec = object.cursor.get('spec');
  const strategy = spec?.get('strategy');
  const replicas = spec?.get('replicas')?.number ?? 1;
  if (spec === undefined || replicas === 0) return [];
  const type = strategy?.get('type');
  // A volume that only one pod can use leaves no other way.
  const hasClaim =
    podSpec
      .get('volumes')
      ?.items()
      .some((volume) => volume.get('persistentVolumeClaim') !== undefined) === true;
  if (type?.text === 'Recreate' && hasClaim) return [];
  if (type?.text === 'Recreate') {
    return [{ at: type, message: `${title} is recreated in a rollout: all pods go before the first new one starts. Use RollingUpdate.` }];
  }
  const given = strategy?.at('rollingUpdate', 'maxUnavailable');
  const surge = strategy?.at('rollingUpdate', 'maxSurge');
  const unavailable = resolve(given?.value ?? DEFAULT_MAX_UNAVAILABLE, replicas, Math.floor);
  if (unavailable === 0 && surge !== undefined && resolve(surge.value, replicas, Math.ceil) === 0 && replicas === 1) {
    return [
      { at: surge, message: `maxSurge is ${String(surge.text)}, so the only pod goes before a new one is ready. Set maxSurge to 1.` },
    ];
  }
  if (given !== undefined && unavailable >= replicas) {
    return [
      {
        at: given,
        message: `maxUnavailable is ${String(given.text)} of ${String(replicas)} replicas: a rollout may take all pods at once. Use 0, and \`maxSurge: 1\`.`,
      },
    ];
  }
  const minReady = spec.get('minReadySeconds');
  const deadline = spec.get('progressDeadlineSeconds')?.number ?? DEFAULT_PROGRESS_DEADLINE_SECONDS;
  if (minReady?.number !== undefined && minReady.number >= deadline) {
    return [
      {
        at: minReady,
        message: `minReadySeconds is ${String(minReady.number)}, and progressDeadlineSeconds is ${String(deadline)}: no rollout ends in time.`,
      },
    ];
  }
  return [];
}

/** A number, or a share of the replicas. */
function resolve(value: unknown, replicas: number, round: (share: number) => number): number {
  if (typeof value === 'number') return value;
  const percent = /^(\d+)%$/.exec(String(value))?.[1];
  return percent === undefined ? Number(value) : round((Number(percent) / 100) * replicas);
}
