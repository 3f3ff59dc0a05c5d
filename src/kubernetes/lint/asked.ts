import { createUrlMatcher, type ProbeTarget } from '../../http/paths.js';
import type { ProbeKind } from '../../probe.js';
import type { ProbeDescription } from '../../registry/description.js';
import type { MiddlewareAnswerer, RouterAnswerer, ServerAnswerer } from '../../registry/serving.js';
import type { Application } from '../application.js';
import { commandOf, optionOf, probeArguments, scriptOf } from './commands.js';
import type { AppSubject } from './rule.js';
import { portNumber, type PodProbe } from './workload.js';

/** Istio asks its own agent, which asks the application. */
const MESH_PATH = /^\/app-health\//;

const KIND_FLAGS: Readonly<Record<string, ProbeKind>> = {
  '--live': 'liveness',
  '-L': 'liveness',
  '--health': 'liveness',
  '-H': 'liveness',
  '--ready': 'readiness',
  '-R': 'readiness',
  '--startup': 'startup',
  '-S': 'startup',
};

type HttpAnswerer = MiddlewareAnswerer | RouterAnswerer | ServerAnswerer;

/** What a probe of a pod asks of the application. */
export interface Asked {
  readonly probe: PodProbe;
  /** `mesh`: over the agent of a mesh; `other`: something that this library does not answer. */
  readonly by: 'http' | 'mesh' | 'command' | 'heartbeat' | 'other';
  /** Of `http`. */
  readonly path: string;
  /** Of `http`, and of a command with `--url`; undefined if it is not known. */
  readonly port: number | undefined;
  /** The kind that is asked, as far as it can be known; else that of the probe. */
  readonly kind: ProbeKind;
  /** The probes whose checks are asked: without those that `exclude` names. */
  readonly probes: readonly ProbeDescription[];
}

export function readAsked(subject: AppSubject): readonly Asked[] {
  const known = asked.get(subject);
  if (known !== undefined) return known;
  const all = subject.appContainer.probes.map((probe) => readOne(subject, probe));
  asked.set(subject, all);
  return all;
}

/** By subject: most rules for the code begin with it. */
const asked = new WeakMap<AppSubject, readonly Asked[]>();

function readOne({ application, appContainer }: AppSubject, probe: PodProbe): Asked {
  const base = { probe, path: '', port: undefined, kind: probe.kind, probes: application.probes };
  const get = probe.cursor.get('httpGet');
  if (get !== undefined) {
    const path = get.get('path')?.text ?? '/';
    if (MESH_PATH.test(path)) return { ...base, by: 'mesh' };
    if (get.get('host') !== undefined) return { ...base, by: 'other' };
    const port = portNumber(appContainer.cursor, get.get('port'));
    const target = findTarget(application, port, path);
    return { ...base, by: 'http', path, port, kind: target?.kind ?? probe.kind, probes: probesOf(application, target) };
  }
  if (heartbeatOf(probe) !== undefined) return { ...base, by: 'heartbeat' };
  const words = probeArguments(commandOf(probe));
  if (words === undefined) return { ...base, by: 'other' };
  const flag = words.find((word) => KIND_FLAGS[word] !== undefined);
  const kind = flag === undefined ? probe.kind : (KIND_FLAGS[flag] ?? probe.kind);
  return { ...base, by: 'command', kind, port: portOfUrl(optionOf(words, '--url')) };
}

/** Whether the answer waits for checks of the application, or would if the path were right. */
export function asksChecks({ by, path, port }: Asked, application: Application): boolean {
  if (by !== 'http') return by === 'mesh' || by === 'command';
  return findTarget(application, port, path) !== undefined || (port !== undefined && knownPorts(application)?.includes(port) === true);
}

/** What a path asks for; undefined if nobody answers it there. */
export function findTarget(application: Application, port: number | undefined, path: string): ProbeTarget | undefined {
  for (const answerer of answerersAt(application, port)) {
    const target = createUrlMatcher(answerer.paths)(path) ?? (answerer.by === 'router' ? behindPrefix(answerer, path) : undefined);
    if (target === undefined) continue;
    const { name, kind } = target;
    const isKnown =
      name === undefined || name === 'lifecycle' || application.probes.some((one) => one.name === name && one.kinds.includes(kind));
    if (isKnown) return target;
  }
  return undefined;
}

/** All ports that the code listens on; undefined if one of them is not known. */
export function knownPorts({ serving: { answerers, shutdowns } }: Application): number[] | undefined {
  const servers = answerers.flatMap((one) => (one.by === 'server' && one.socket === undefined ? [one.port] : []));
  const own = shutdowns.flatMap((shutdown) => shutdown.servers).filter(({ socket }) => socket === undefined);
  const hasOwnServer = answerers.some(({ by }) => by === 'middleware' || by === 'router' || by === 'view');
  if (hasOwnServer && own.length === 0) return undefined;
  const ports = [...servers, ...own.map(({ port }) => port)];
  return ports.length === 0 || ports.some((port) => port === undefined || port === 0) ? undefined : [...new Set(ports as number[])];
}

/** The directory of the heartbeat that the command or the shell reads. */
export function heartbeatOf(probe: PodProbe): string | undefined {
  const command = commandOf(probe);
  const given = optionOf(probeArguments(command) ?? [], '--heartbeat')?.replace(/\/$/, '');
  if (given !== undefined) return given;
  const script = scriptOf(command) ?? '';
  return script.includes('/proc/uptime') ? /<\s*(\/\S+)\/(?:live|ready|startup)\b/.exec(script)?.[1] : undefined;
}

/** Those who may answer on that port. A middleware and a router answer on the port of the application. */
function answerersAt({ serving }: Application, port: number | undefined): HttpAnswerer[] {
  const all = serving.answerers.filter((one): one is HttpAnswerer => 'paths' in one);
  const onPort = all.filter((one) => one.by === 'server' && one.port === port && port !== undefined);
  if (onPort.length > 0) return onPort;
  return all.filter((one) => one.by !== 'server' || (one.socket === undefined && (one.port === undefined || one.port === 0)));
}

/** The prefix of a router that is mounted in another one is not known. */
function behindPrefix({ paths }: RouterAnswerer, path: string): ProbeTarget | undefined {
  const [pathname = '', query = ''] = path.split('?', 2);
  for (const [kind, ends] of Object.entries(paths)) {
    const end = ends.find((one) => pathname.endsWith(one));
    if (end !== undefined) return { kind: kind as ProbeKind, path: end, title: end.slice(1), name: undefined, query };
  }
  return undefined;
}

function probesOf({ probes }: Application, target: ProbeTarget | undefined): readonly ProbeDescription[] {
  if (target === undefined) return probes;
  if (target.name !== undefined) return probes.filter(({ name }) => name === target.name);
  const excluded = new URLSearchParams(target.query).getAll('exclude');
  return excluded.length === 0 ? probes : probes.filter(({ name }) => !excluded.includes(name));
}

function portOfUrl(url: string | undefined): number | undefined {
  if (url === undefined || !URL.canParse(url)) return undefined;
  const { port, protocol } = new URL(url);
  return port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port);
}
