import type { ProbeKind } from '../../../probe.js';
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
import { asksChecks, findTarget, heartbeatOf, knownPorts, readAsked, type Asked } from '../asked.js';
import { commandOf, optionOf, probeArguments, timeoutOf } from '../commands.js';
import { codeRule, type AppSubject, type Rule } from '../rule.js';
import { findProbe, times } from './probe-rules.js';

const LOOPBACK = /^(?:localhost|127\.|::1$)/;

/** What only the code and the file together say. */
export const CODE_RULES: readonly Rule[] = [
  codeRule('path-unanswered', 'error', 'Nobody answers the path, so the probe fails with 404.', (subject) =>
    askedByHttp(subject).flatMap(({ probe, path, port }) => {
      if (!isServed(subject, port) || hasView(subject) || findTarget(subject.application, port, path) !== undefined) return [];
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
  codeRule('wrong-kind', 'error', 'The probe asks for another kind.', (subject) =>
    readAsked(subject).flatMap(({ probe, by, path, kind }) => {
      if (kind === probe.kind || (probe.kind === 'startup' && !hasKind(subject, 'startup'))) return [];
      const own = subject.application.serving.answerers.flatMap((one) => ('paths' in one ? one.paths[probe.kind] : []));
      const message =
        by === 'http'
          ? `${path} answers ${kind}, and ${probe.field} asks it. Ask ${own[0] ?? 'the path of its own kind'}.`
          : `The command of ${probe.field} asks for ${kind}. Ask for ${probe.kind}.`;
      return [{ at: probe.cursor.at('httpGet', 'path') ?? probe.cursor.at('exec', 'command') ?? probe.cursor, message }];
    }),
  ),
  codeRule('port-not-served', 'error', 'Nobody listens on the port, so the probe fails with "connection refused".', (subject) =>
    readAsked(subject).flatMap(({ probe, by, port }) => {
      if (port === undefined) return [];
      const at = probe.cursor.at('httpGet', 'port') ?? probe.cursor.at('exec', 'command') ?? probe.cursor;
      const loopback = subject.application.serving.answerers.find(
        (one) => by === 'http' && one.by === 'server' && one.port === port && LOOPBACK.test(one.host ?? ''),
      );
      if (loopback !== undefined)
        return [
          {
            at,
            message: `The server on port ${String(port)} listens on this machine alone, and the kubelet asks by the address of the pod. Leave \`host\` out.`,
          },
        ];
      const ports = knownPorts(subject.application);
      if (ports === undefined || ports.includes(port)) return [];
      return [{ at, message: `${probe.field} asks port ${String(port)}, and the code listens on ${ports.map(String).join(' and ')}.` }];
    }),
  ),
  codeRule(
    'timeout-below-probe',
    'error',
    'Kubernetes gives up before the slowest check may end, so nobody learns which check it was.',
    (subject) =>
      askedChecks(subject).flatMap(({ probe, kind, probes }) => {
        const budget = budgetOf(probes, kind);
        const commandSeconds = timeoutOf(commandOf(probe));
        const seconds = commandSeconds ?? probe.timeoutSeconds;
        if (seconds * 1_000 >= budget.milliseconds) return [];
        const needed = neededTimeoutSeconds(budget);
        const what = commandSeconds === undefined ? `timeoutSeconds of ${probe.field}` : `--timeout of the command in ${probe.field}`;
        return [
          {
            at: probe.cursor.get('timeoutSeconds') ?? probe.cursor,
            message: `${what} is ${String(seconds)} s, and ${explainBudget(budget)}: that needs ${showTime(budget.milliseconds)}. Set it to ${String(needed)}, or lower \`timeoutMs\`.`,
            fix: commandSeconds === undefined ? { map: probe.cursor, key: 'timeoutSeconds', value: needed } : undefined,
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
        fix: { map: podSpec, key: 'terminationGracePeriodSeconds', value },
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
      const probe = findAsked(subject, 'readiness')?.probe;
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
          fix: fitting >= 1 ? { map: probe.cursor, key: 'failureThreshold', value: fitting } : undefined,
        },
      ];
    },
  ),
  codeRule('liveness-outside', 'warn', 'An outage of what it checks restarts every pod, and a restart does not mend it.', (subject) => {
    const asked = findAsked(subject, 'liveness');
    if (asked === undefined) return [];
    const { probe, probes } = asked;
    return probes
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
    const asked = findAsked(subject, 'startup');
    if (asked?.kind !== 'startup') return [];
    const { probe, probes } = asked;
    const budget = budgetOf(probes, 'startup');
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
      askedChecks(subject).flatMap(({ probe, probes }) =>
        probes
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
      askedChecks(subject).flatMap(({ probe, probes }) => {
        const tolerated = toleratedFailures(probes, probe.kind);
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

function askedByHttp(subject: AppSubject): Asked[] {
  return readAsked(subject).filter(({ by }) => by === 'http');
}

/** Those that wait for checks of the application. */
function askedChecks(subject: AppSubject): Asked[] {
  return readAsked(subject).filter((asked) => asksChecks(asked, subject.application));
}

/** A heartbeat tells of the checks too, only later. */
function findAsked(subject: AppSubject, kind: ProbeKind): Asked | undefined {
  return readAsked(subject).find(
    (asked) => asked.probe.kind === kind && (asked.by === 'heartbeat' || asksChecks(asked, subject.application)),
  );
}

/** A `probeView()` is mounted at a path that is not known. */
function hasView({ application }: AppSubject): boolean {
  return application.serving.answerers.some(({ by }) => by === 'view');
}

/** A wrong port has a finding of its own. */
function isServed({ application }: AppSubject, port: number | undefined): boolean {
  const ports = knownPorts(application);
  return port !== undefined && (ports === undefined || ports.includes(port));
}

function hasKind({ application }: AppSubject, kind: ProbeKind): boolean {
  return application.probes.some(({ kinds }) => kinds.includes(kind));
}

/** A variable of the container, if the command names no other way. */
function environmentOf({ appContainer }: AppSubject, name: string, words: readonly string[]): string | undefined {
  if (['--url', '--heartbeat', '--app'].some((option) => optionOf(words, option) !== undefined)) return undefined;
  return appContainer.environment[name];
}

function shutdownTimes({ application, appContainer }: AppSubject): ReturnType<typeof shutdownTimesInPod> {
  const told = Number(appContainer.environment['TERMINATION_GRACE_PERIOD_SECONDS'] ?? NaN);
  return shutdownTimesInPod(application.serving.shutdowns, Number.isFinite(told) ? told : undefined);
}

function atPort(port: number | undefined): string {
  return port === undefined ? '' : ` on port ${String(port)}`;
}
