import type { Application } from '../application.js';
import { applyEdits } from './edits.js';
import type { Edit, Fault, Rule, Severity, Subject } from './rule.js';
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

/** What is wrong with the files, in the order in which it stands there. */
export function lint(sources: readonly Source[], options: LintOptions = {}): Finding[] {
  const objects = sources.flatMap((source) => source.objects);
  const workloads = objects.flatMap((object) => readWorkload(object) ?? []);
  const probed = workloads.filter(({ containers }) => containers.some(({ probes }) => probes.length > 0));
  const findings = workloads.flatMap((workload) => {
    const isOnly = probed.length === 1 && probed[0] === workload;
    const subject: Subject = { workload, objects, ...findApplication(workload, isOnly, options) };
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
    fix: fault.fix,
  };
}

/** The container that runs the application: the one that is named, or asked where the code answers, or the only one. `isOnly`: no other workload has probes. */
function findApplication(
  workload: Workload,
  isOnly: boolean,
  { application, container }: LintOptions,
): Pick<Subject, 'application' | 'appContainer'> {
  const none = { application: undefined, appContainer: undefined };
  if (application === undefined) return none;
  const candidates = workload.containers.filter((one) => !one.isSidecar);
  const named = container === undefined ? undefined : candidates.find(({ name }) => name === container);
  if (container !== undefined) return named === undefined ? none : { application, appContainer: named };
  const matching = candidates.find((one) => isAskedAsServed(one, application));
  const appContainer = matching ?? (isOnly && candidates.length === 1 ? candidates[0] : undefined);
  return appContainer === undefined ? none : { application, appContainer };
}

/** Whether its probes ask a path or a port, or run a command, that the code knows. */
function isAskedAsServed({ cursor, probes }: Container, { serving }: Application): boolean {
  const paths = new Set(serving.answerers.flatMap((one) => ('paths' in one ? Object.values(one.paths).flat() : [])));
  const ports = new Set(serving.answerers.flatMap((one) => (one.by === 'server' ? [one.port] : [])));
  for (const { servers } of serving.shutdowns) for (const { port } of servers) ports.add(port);
  return probes.some((probe) => {
    const get = probe.cursor.get('httpGet');
    const port = portNumber(cursor, get?.get('port'));
    const isOwnCommand = JSON.stringify(probe.cursor.at('exec', 'command')?.value ?? '').includes('koa-probes');
    return isOwnCommand || paths.has(get?.get('path')?.text ?? '') || (port !== undefined && port !== 0 && ports.has(port));
  });
}
