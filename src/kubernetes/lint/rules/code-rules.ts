import { createUrlMatcher, type ProbeTarget } from '../../../http/paths.js';
import type { ProbeKind } from '../../../probe.js';
import type { MiddlewareAnswerer, RouterAnswerer, ServerAnswerer } from '../../../registry/serving.js';
import {
  budgetOf,
  explainBudget,
  neededGraceSeconds,
  neededTimeoutSeconds,
  PROPAGATION_SECONDS,
  secondsOutOfRotation,
  showTime,
  shutdownTimesInPod,
  SPARE_GRACE_SECONDS,
  toleratedFailures,
} from '../../budget.js';
import { setValue } from '../edits.js';
import { codeRule, type AppSubject, type Rule } from '../rule.js';
import { portNumber, type PodProbe } from '../workload.js';
import { commandOf, optionOf, probeArguments, scriptOf, timeoutOf } from './exec-rules.js';
import { findProbe, times } from './probe-rules.js';

/** Istio asks its own agent, which asks the application. */
const MESH_PATH = /^\/app-health\//;
const LOOPBACK = /^(?:localhost|127\.|::1$)/;

type HttpAnswerer = MiddlewareAnswerer | RouterAnswerer | ServerAnswerer;

/** What only the code and the file together say. */
export const CODE_RULES: readonly Rule[] = [
  codeRule('path-unanswered', 'error', 'Nobody answers the path, so the probe fails with 404.', (subject) =>
    httpProbes(subject).flatMap(({ probe, path, port }) => {
      if (!isServed(subject, port) || hasView(subject) || targetOf(subject, port, path) !== undefined) return [];
      const answered = subject.application.serving.answerers.flatMap((one) => ('paths' in one ? one.paths[probe.kind] : []));
      const cure =
        answered.length === 0
          ? 'The code answers no probes over HTTP.'
          : `For ${probe.kind} the code answers ${[...new Set(answered)].join(' and ')}.`;
      return [
        {
          at: probe.cursor.at('httpGet', 'path') ?? probe.cursor,
          message: `Nobody answers ${path}${atPort(port)}, which ${probe.field} asks. ${cure}`,
        },
      ];
    }),
  ),
  codeRule('wrong-kind', 'error', 'The path answers another kind of probe.', (subject) =>
    httpProbes(subject).flatMap(({ probe, path, port }) => {
      const target = targetOf(subject, port, path);
      if (target === undefined || target.kind === probe.kind) return [];
      if (probe.kind === 'startup' && !hasKind(subject, 'startup')) return [];
      const own = subject.application.serving.answerers.flatMap((one) => ('paths' in one ? one.paths[probe.kind] : []));
      return [
        {
          at: probe.cursor.at('httpGet', 'path') ?? probe.cursor,
          message: `${path} answers ${target.kind}, and ${probe.field} asks it. Ask ${own[0] ?? 'the path of its own kind'}.`,
        },
      ];
    }),
  ),
  codeRule('port-not-served', 'error', 'Nobody listens on the port, so the probe fails with "connection refused".', (subject) =>
    httpProbes(subject).flatMap(({ probe, port }) => {
      if (port === undefined) return [];
      const at = probe.cursor.at('httpGet', 'port') ?? probe.cursor;
      const loopback = subject.application.serving.answerers.find(
        (one) => one.by === 'server' && one.port === port && LOOPBACK.test(one.host ?? ''),
      );
      if (loopback !== undefined)
        return [
          {
            at,
            message: `The server on port ${String(port)} listens on this machine alone, and the kubelet asks by the address of the pod. Leave \`host\` out.`,
          },
        ];
      const ports = knownPorts(subject);
      if (ports === undefined || ports.includes(port)) return [];
      return [{ at, message: `${probe.field} asks port ${String(port)}, and the code listens on ${ports.map(String).join(' and ')}.` }];
    }),
  ),
  codeRule(
    'timeout-below-probe',
    'error',
    'Kubernetes gives up before the slowest check may end, so nobody learns which check it was.',
    (subject) =>
      subject.appContainer.probes.flatMap((probe) => {
        const budget = budgetOf(subject.application.probes, kindAsked(subject, probe));
        const commandSeconds = timeoutOf(commandOf(probe));
        const seconds = commandSeconds ?? probe.timeoutSeconds;
        if ((probe.cursor.get('httpGet') === undefined && commandSeconds === undefined) || readsHeartbeat(probe)) return [];
        if (seconds * 1_000 >= budget.milliseconds) return [];
        const needed = neededTimeoutSeconds(budget);
        const what = commandSeconds === undefined ? `timeoutSeconds of ${probe.field}` : `--timeout of the command in ${probe.field}`;
        return [
          {
            at: probe.cursor.get('timeoutSeconds') ?? probe.cursor,
            message: `${what} is ${String(seconds)} s, and ${explainBudget(budget)}: that needs ${showTime(budget.milliseconds)}. Set it to ${String(needed)}, or lower \`timeoutMs\`.`,
            fix: commandSeconds === undefined ? setValue(probe.cursor, 'timeoutSeconds', needed, textOf(subject)) : undefined,
          },
        ];
      }),
  ),
  codeRule('grace-below-shutdown', 'error', 'The process is killed before its shutdown has ended.', (subject) => {
    const times_ = shutdownTimes(subject);
    const { podSpec, graceSeconds } = subject.workload;
    const { preStopSeconds } = subject.appContainer;
    if (times_ === undefined) return [];
    const needed = neededGraceSeconds(times_, preStopSeconds);
    if (needed < graceSeconds) return [];
    const sum = preStopSeconds === 0 ? '' : `${String(preStopSeconds)} s for preStop and `;
    const value = needed + SPARE_GRACE_SECONDS;
    return [
      {
        at: podSpec.get('terminationGracePeriodSeconds') ?? podSpec,
        message: `The grace period is ${String(graceSeconds)} s, and ${sum}the shutdown takes ${showTime(times_.timeoutMs)}. Set terminationGracePeriodSeconds to ${String(value)}, or tell the shutdown less: TERMINATION_GRACE_PERIOD_SECONDS, or \`timeoutMs\`.`,
        fix: setValue(podSpec, 'terminationGracePeriodSeconds', value, textOf(subject)),
      },
    ];
  }),
  codeRule(
    'double-drain',
    'warn',
    'The preStop hook and gracefulShutdown() wait one after the other, and every rollout is that much slower.',
    (subject) => {
      const drainMs = shutdownTimes(subject)?.drainDelayMs ?? 0;
      const { preStopSeconds, cursor } = subject.appContainer;
      if (drainMs === 0 || preStopSeconds === 0) return [];
      return [
        {
          at: cursor.at('lifecycle', 'preStop') ?? cursor,
          message: `The preStop hook waits ${String(preStopSeconds)} s, and gracefulShutdown() waits ${showTime(drainMs)} more. Take the hook out, or set \`drainDelayMs: 0\`.`,
        },
      ];
    },
  ),
  codeRule(
    'drain-below-readiness',
    'warn',
    'If a container is restarted, the pod stays in rotation until readiness has failed, longer than the application drains.',
    (subject) => {
      const probe = findProbe(subject.appContainer.probes, 'readiness');
      const drainMs = shutdownTimes(subject)?.drainDelayMs ?? 0;
      if (probe === undefined || drainMs === 0) return [];
      const drainSeconds = drainMs / 1_000 + subject.appContainer.preStopSeconds;
      const seconds = secondsOutOfRotation(probe.periodSeconds, probe.failureThreshold);
      if (seconds <= drainSeconds) return [];
      const fitting = Math.floor((drainSeconds - PROPAGATION_SECONDS) / probe.periodSeconds);
      return [
        {
          at: probe.cursor,
          message: `Readiness takes ${times(probe)} and ${String(PROPAGATION_SECONDS)} s until proxies know, and the application drains for ${String(drainSeconds)} s. Shorten the period, for example 2 s × 1.`,
          fix: fitting >= 1 ? setValue(probe.cursor, 'failureThreshold', fitting, textOf(subject)) : undefined,
        },
      ];
    },
  ),
  codeRule('liveness-outside', 'warn', 'An outage of what it checks restarts every pod, and a restart does not mend it.', (subject) => {
    const probe = findProbe(subject.appContainer.probes, 'liveness');
    if (probe === undefined) return [];
    return subject.application.probes
      .filter(({ kinds, outside, options }) => kinds.includes('liveness') && outside !== undefined && !options.restartOnOutage)
      .map(({ name, outside }) => ({
        at: probe.cursor,
        message: `The liveness probe ${name} checks something outside the process: ${String(outside)}. Make it a readiness probe, or set \`restartOnOutage: true\`.`,
      }));
  }),
  codeRule(
    'startup-missing',
    'warn',
    'The code has startup probes, and Kubernetes does not wait for them: liveness can restart the container while it starts.',
    (subject) => {
      const { probes, cursor } = subject.appContainer;
      const names = subject.application.probes
        .filter(({ kinds, options }) => kinds.includes('startup') && options.critical)
        .map(({ name }) => name);
      const liveness = findProbe(probes, 'liveness');
      if (subject.workload.isPatch || names.length === 0 || liveness === undefined || findProbe(probes, 'startup') !== undefined) return [];
      return [{ at: cursor, message: `The code has startup probes (${names.join(', ')}), and the container has no startupProbe.` }];
    },
  ),
  codeRule('startup-budget', 'error', 'The start may take less time than one run of the startup probes.', (subject) => {
    const probe = findProbe(subject.appContainer.probes, 'startup');
    if (probe === undefined) return [];
    const budget = budgetOf(subject.application.probes, 'startup');
    const seconds = probe.initialDelaySeconds + probe.periodSeconds * probe.failureThreshold;
    if (budget.slowest === undefined || seconds * 1_000 > budget.milliseconds) return [];
    return [
      {
        at: probe.cursor,
        message: `The container has ${String(seconds)} s to start, and ${explainBudget(budget)}. Raise failureThreshold.`,
      },
    ];
  }),
  codeRule(
    'cache-over-period',
    'warn',
    'Kubernetes gets a result that is older than its period, so it acts later than the pod spec says.',
    (subject) =>
      subject.appContainer.probes.flatMap((probe) =>
        subject.application.probes
          .filter(
            ({ kinds, options }) => kinds.includes(probe.kind) && options.intervalMs === 0 && options.cacheMs > probe.periodSeconds * 1_000,
          )
          .map(({ name, options }) => ({
            at: probe.cursor.get('periodSeconds') ?? probe.cursor,
            message: `The probe ${name} keeps a result for ${showTime(options.cacheMs)}, and ${probe.field} asks every ${String(probe.periodSeconds)} s. Lower \`cacheMs\`.`,
          })),
      ),
  ),
  codeRule(
    'thresholds-add-up',
    'warn',
    'The thresholds of the probe and of Kubernetes add up, so it acts later than the pod spec says.',
    (subject) =>
      subject.appContainer.probes.flatMap((probe) => {
        const tolerated = toleratedFailures(subject.application.probes, probe.kind);
        if (tolerated === 0 || probe.failureThreshold === 1) return [];
        const total = probe.periodSeconds * (probe.failureThreshold + tolerated);
        return [
          {
            at: probe.cursor,
            message: `${probe.field} acts after ${times(probe)}, and \`failureThreshold\` in the code tolerates ${String(tolerated)} more: ${String(total)} s in all. Set one of the thresholds to 1.`,
          },
        ];
      }),
  ),
  codeRule('socket-path', 'error', 'The command asks a socket that the code does not open.', (subject) => {
    const sockets = subject.application.serving.answerers.flatMap((one) =>
      one.by === 'server' && one.socket !== undefined ? [one.socket] : [],
    );
    return subject.appContainer.probes.flatMap((probe) => {
      const words = probeArguments(commandOf(probe));
      const socket = words && (optionOf(words, '--socket') ?? environmentOf(subject, 'PROBE_SOCKET', words));
      if (socket === undefined || sockets.includes(socket)) return [];
      const opened = sockets.length === 0 ? 'no socket' : sockets.join(' and ');
      return [
        {
          at: probe.cursor.at('exec', 'command') ?? probe.cursor,
          message: `${probe.field} asks the socket ${socket}, and the code opens ${opened}.`,
        },
      ];
    });
  }),
  codeRule('heartbeat-directory', 'error', 'The command reads a heartbeat that the code does not write.', (subject) => {
    const heartbeats = subject.application.serving.answerers.flatMap((one) => (one.by === 'heartbeat' ? [one] : []));
    return subject.appContainer.probes.flatMap((probe) => {
      const directory = heartbeatOf(probe);
      // A pattern is for the directories of several processes.
      if (directory === undefined || directory.includes('*') || heartbeats.some((one) => one.directory.replace(/\/$/, '') === directory))
        return [];
      const written = heartbeats.length === 0 ? 'no heartbeat' : heartbeats.map((one) => one.directory).join(' and ');
      return [
        {
          at: probe.cursor.at('exec', 'command') ?? probe.cursor,
          message: `${probe.field} reads the heartbeat in ${directory}, and the code writes ${written}.`,
        },
      ];
    });
  }),
];

interface HttpProbe {
  readonly probe: PodProbe;
  readonly path: string;
  /** Undefined if it is a name that the container does not have. */
  readonly port: number | undefined;
}

/** Probes that ask the application itself. */
function httpProbes({ appContainer }: AppSubject): HttpProbe[] {
  return appContainer.probes.flatMap((probe) => {
    const get = probe.cursor.get('httpGet');
    const path = get?.get('path')?.text ?? '/';
    if (get === undefined || get.get('host') !== undefined || MESH_PATH.test(path)) return [];
    return [{ probe, path, port: portNumber(appContainer.cursor, get.get('port')) }];
  });
}

/** Those who may answer on that port. A middleware and a router answer on the port of the application. */
function answerersAt({ application }: AppSubject, port: number | undefined): HttpAnswerer[] {
  const isHttp = (one: object): one is HttpAnswerer => 'paths' in one;
  const all = application.serving.answerers.filter(isHttp);
  const onPort = all.filter((one) => one.by === 'server' && one.port === port && port !== undefined);
  if (onPort.length > 0) return onPort;
  return all.filter((one) => one.by !== 'server' || (one.socket === undefined && (one.port === undefined || one.port === 0)));
}

/** What a path asks for; undefined if nobody answers it. The prefix of a router that is mounted in another one is not known. */
function targetOf(subject: AppSubject, port: number | undefined, path: string): ProbeTarget | undefined {
  for (const answerer of answerersAt(subject, port)) {
    const target = createUrlMatcher(answerer.paths)(path) ?? (answerer.by === 'router' ? targetBehindPrefix(answerer, path) : undefined);
    if (target === undefined) continue;
    const { name, kind } = target;
    if (
      name === undefined ||
      name === 'lifecycle' ||
      subject.application.probes.some((probe) => probe.name === name && probe.kinds.includes(kind))
    )
      return target;
  }
  return undefined;
}

function targetBehindPrefix({ paths }: RouterAnswerer, path: string): ProbeTarget | undefined {
  for (const [kind, ends] of Object.entries(paths)) {
    const end = ends.find((one) => path.split('?', 1)[0]?.endsWith(one) === true);
    if (end !== undefined) return { kind: kind as ProbeKind, path: end, title: end.slice(1), name: undefined, query: '' };
  }
  return undefined;
}

/** A `probeView()` is mounted at a path that is not known. */
function hasView({ application }: AppSubject): boolean {
  return application.serving.answerers.some(({ by }) => by === 'view');
}

/** All ports that the code listens on; undefined if one of them is not known. */
function knownPorts({ application }: AppSubject): number[] | undefined {
  const { answerers, shutdowns } = application.serving;
  const servers = answerers.flatMap((one) => (one.by === 'server' && one.socket === undefined ? [one.port] : []));
  const own = shutdowns.flatMap((shutdown) => shutdown.servers).filter(({ socket }) => socket === undefined);
  const hasOwnServer = answerers.some(({ by }) => by === 'middleware' || by === 'router' || by === 'view');
  if (hasOwnServer && own.length === 0) return undefined;
  const ports = [...servers, ...own.map(({ port }) => port)];
  return ports.length === 0 || ports.some((port) => port === undefined || port === 0) ? undefined : [...new Set(ports as number[])];
}

/** A wrong port has a finding of its own. */
function isServed(subject: AppSubject, port: number | undefined): boolean {
  const ports = knownPorts(subject);
  return port !== undefined && (ports === undefined || ports.includes(port));
}

function kindAsked(subject: AppSubject, probe: PodProbe): ProbeKind {
  const http = httpProbes(subject).find((one) => one.probe === probe);
  const asked = http && targetOf(subject, http.port, http.path)?.kind;
  const words = probeArguments(commandOf(probe)) ?? [];
  const flags: Readonly<Record<string, ProbeKind>> = {
    '--live': 'liveness',
    '-L': 'liveness',
    '--health': 'liveness',
    '-H': 'liveness',
    '--ready': 'readiness',
    '-R': 'readiness',
    '--startup': 'startup',
    '-S': 'startup',
  };
  const flag = words.find((word) => flags[word] !== undefined);
  return asked ?? (flag === undefined ? undefined : flags[flag]) ?? probe.kind;
}

function readsHeartbeat(probe: PodProbe): boolean {
  return heartbeatOf(probe) !== undefined;
}

/** The directory of the heartbeat that the command or the shell reads. */
function heartbeatOf(probe: PodProbe): string | undefined {
  const command = commandOf(probe);
  const given = optionOf(probeArguments(command) ?? [], '--heartbeat')?.replace(/\/$/, '');
  if (given !== undefined) return given;
  const script = scriptOf(command) ?? '';
  return script.includes('/proc/uptime') ? /<\s*(\/\S+)\/(?:live|ready|startup)\b/.exec(script)?.[1] : undefined;
}

/** A variable of the container, if the command names no other way. */
function environmentOf({ appContainer }: AppSubject, name: string, words: readonly string[]): string | undefined {
  if (['--url', '--heartbeat', '--app'].some((option) => optionOf(words, option) !== undefined)) return undefined;
  return variableOf(appContainer.cursor, name);
}

function variableOf(container: AppSubject['appContainer']['cursor'], name: string): string | undefined {
  return container
    .get('env')
    ?.items()
    .find((one) => one.get('name')?.text === name)
    ?.get('value')?.text;
}

function shutdownTimes({ application, appContainer }: AppSubject): ReturnType<typeof shutdownTimesInPod> {
  const told = Number(variableOf(appContainer.cursor, 'TERMINATION_GRACE_PERIOD_SECONDS') ?? NaN);
  return shutdownTimesInPod(application.serving.shutdowns, Number.isFinite(told) ? told : undefined);
}

function hasKind({ application }: AppSubject, kind: ProbeKind): boolean {
  return application.probes.some(({ kinds }) => kinds.includes(kind));
}

function atPort(port: number | undefined): string {
  return port === undefined ? '' : ` on port ${String(port)}`;
}

function textOf({ workload }: AppSubject): string {
  return workload.object.source.text;
}
