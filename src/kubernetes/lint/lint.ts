import { ConfigurationError } from '../../errors.js';
import { show } from '../../validation.js';
import type { Application } from '../application.js';
import { findTarget, knownPorts } from './asked.js';
import { commandOf, probeArguments } from './commands.js';
import { applyEdits, toEdit, type Edit } from './edits.js';
import type { Fault, Rule, Severity, Subject } from './rule.js';
import { CODE_RULES } from './rules/code-rules.js';
import { EXEC_RULES } from './rules/exec-rules.js';
import { POD_RULES } from './rules/pod-rules.js';
import { PROBE_RULES } from './rules/probe-rules.js';
import { readSource, type Source } from './source.js';
import { portNumber, readWorkload, type Container, type Workload } from './workload.js';

/** In the order of docs/lint.md. */
export const RULES: readonly Rule[] = [...CODE_RULES, ...PROBE_RULES, ...EXEC_RULES, ...POD_RULES];

export interface LintOptions {
  /** Undefined: only what the files alone say is checked. */
  readonly application?: Application | undefined;
  /** Name of the container that runs the application. */
  readonly container?: string | undefined;
  /** Severity by name of the rule, instead of its own. */
  readonly severities?: Readonly<Partial<Record<string, Severity>>> | undefined;
}

/** One fault, and where it is. */
export interface Finding {
  readonly rule: string;
  readonly severity: Exclude<Severity, 'off'>;
  readonly message: string;
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly endLine: number;
  readonly endColumn: number;
  /** `Deployment shop`. */
  readonly object: string;
  /** Undefined if nobody but a person can mend it. */
  readonly fix: Edit | undefined;
}

/** Whether there is anything that a rule looks at. */
export function countWorkloads(sources: readonly Source[]): number {
  return workloadsOf(sources).length;
}

/** The variables of the container that runs the application, if only one can: what the code reads when it is imported. */
export function findEnvironment(sources: readonly Source[], name: string | undefined): Readonly<Record<string, string>> {
  const containers = workloadsOf(sources).flatMap((workload) =>
    workload.containers.filter((one) => !one.isSidecar && (name === undefined || one.name === name)),
  );
  const [only, ...others] = containers;
  return only !== undefined && others.length === 0 ? only.environment : {};
}

function workloadsOf(sources: readonly Source[]): Workload[] {
  return sources.flatMap(({ objects }) => objects.flatMap((object) => readWorkload(object) ?? []));
}

/**
 * What is wrong with the files, in the order in which it stands there.
 *
 * @throws ConfigurationError if the container that runs the application cannot be told.
 */
export function lint(sources: readonly Source[], options: LintOptions = {}): Finding[] {
  const objects = sources.flatMap((source) => source.objects);
  const workloads = workloadsOf(sources);
  const containers = findContainers(workloads, options);
  const findings = workloads.flatMap((workload) => {
    const appContainer = workload.containers.find((container) => containers.has(container));
    const subject: Subject = { workload, objects, appContainer, application: appContainer && options.application };
    return RULES.flatMap((rule) => findingsOf(rule, subject, options));
  });
  const order = new Map(sources.map(({ file }, index) => [file, index]));
  return findings.toSorted((a, b) => (order.get(a.file) ?? 0) - (order.get(b.file) ?? 0) || a.line - b.line || a.column - b.column);
}

/** A fix can uncover another fault. */
const MOST_PASSES = 10;

/** The texts of the files once everything mechanical is mended. */
export function fix(sources: readonly Source[], options: LintOptions = {}): Source[] {
  let current = [...sources];
  for (let passes = 0; passes < MOST_PASSES; passes += 1) {
    const edits = lint(current, options).flatMap(({ file, fix: edit }) => (edit === undefined ? [] : [{ file, edit }]));
    if (edits.length === 0) break;
    current = current.map((source) => {
      const own = edits.filter(({ file }) => file === source.file).map(({ edit }) => edit);
      return own.length === 0 ? source : readSource(source.file, applyEdits(source.text, own));
    });
  }
  return current;
}

function findingsOf(rule: Rule, subject: Subject, { severities = {} }: LintOptions): Finding[] {
  const severity = severities[rule.name] ?? rule.severity;
  if (severity === 'off') return [];
  return rule.check(subject).flatMap((fault) => {
    // A fault may be in another object than the workload: in its disruption budget.
    const source = sourceOf(fault, subject);
    return source.switchedOff.has(rule.name) ? [] : [describe(rule.name, severity, fault, source, subject.workload)];
  });
}

function sourceOf({ at }: Fault, { workload, objects }: Subject): Source {
  return objects.find(({ cursor }) => cursor.document === at.document)?.source ?? workload.object.source;
}

function describe(rule: string, severity: Finding['severity'], fault: Fault, source: Source, { title }: Workload): Finding {
  const [start, end] = fault.at.range;
  const { line, column } = source.positionOf(start);
  const last = source.positionOf(end);
  return {
    rule,
    severity,
    message: fault.message,
    file: source.file,
    line,
    column,
    endLine: last.line,
    endColumn: last.column,
    object: title,
    fix: fault.fix && toEdit(fault.fix, source.text),
  };
}

/**
 * The containers that run the application: those of the given name; else those that ask a path where the code answers it, or by the command of this package;
 * else the only container that asks a port of the code; else the only container that has probes.
 *
 * @throws ConfigurationError if nobody can tell: a rule that looks at nothing finds nothing.
 */
function findContainers(workloads: readonly Workload[], { application, container: name }: LintOptions): ReadonlySet<Container> {
  if (application === undefined) return new Set();
  const containers = workloads.flatMap((workload) => workload.containers.filter(({ isSidecar }) => !isSidecar));
  if (containers.length === 0) return new Set();
  if (name !== undefined) {
    const named = containers.filter((one) => one.name === name);
    if (named.length > 0) return new Set(named);
    const names = [...new Set(containers.map((one) => one.name))].join(', ');
    throw new ConfigurationError(`No container is named ${show(name)}. Their names are ${names}.`);
  }
  const asking = containers.filter((one) => asksWhatIsAnswered(one, application));
  if (asking.length > 0) return new Set(asking);
  const ports = new Set(knownPorts(application) ?? []);
  const [near, ...moreNear] = containers.filter(({ cursor, probes }) =>
    probes.some((probe) => ports.has(portNumber(cursor, probe.cursor.at('httpGet', 'port')) ?? NaN)),
  );
  if (near !== undefined && moreNear.length === 0) return new Set([near]);
  const probed = containers.filter(({ probes }) => probes.length > 0);
  const [only, ...others] = probed.length > 0 ? probed : containers;
  if (only !== undefined && others.length === 0) return new Set([only]);
  throw new ConfigurationError(
    'None of the containers can be told to run the application of --app. Say which does: `--container app`, for example.',
  );
}

function asksWhatIsAnswered({ cursor, probes }: Container, application: Application): boolean {
  return probes.some((probe) => {
    const get = probe.cursor.get('httpGet');
    if (get === undefined) return probeArguments(commandOf(probe)) !== undefined;
    const port = portNumber(cursor, get.get('port'));
    const ports = knownPorts(application);
    return (
      (ports === undefined || (port !== undefined && ports.includes(port))) &&
      findTarget(application, port, get.get('path')?.text ?? '/') !== undefined
    );
  });
}
