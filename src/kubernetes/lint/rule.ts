import type { Application } from '../application.js';
import type { Cursor } from './cursor.js';
import type { Repair } from './edits.js';
import type { KubernetesObject } from './source.js';
import type { Container, Workload } from './workload.js';

export const SEVERITIES = ['off', 'warn', 'error'] as const;
export type Severity = (typeof SEVERITIES)[number];

/** What a rule has found. */
export interface Fault {
  readonly at: Cursor;
  readonly message: string;
  /** Undefined if nobody but a person can decide. */
  readonly fix?: Repair | undefined;
}

/** What a rule looks at: one workload, and all objects that were given. */
export interface Subject {
  readonly workload: Workload;
  readonly objects: readonly KubernetesObject[];
  /** Undefined without `--app`, or if the workload does not run the application. */
  readonly application: Application | undefined;
  /** The container that runs the application. Defined if `application` is. */
  readonly appContainer: Container | undefined;
}

/** A rule is data. Each has a section of its name in docs/lint.md. */
export interface Rule {
  readonly name: string;
  readonly severity: Exclude<Severity, 'off'>;
  /** Whether it needs `--app`. */
  readonly needsCode: boolean;
  /** What goes wrong, in one sentence. */
  readonly reason: string;
  readonly check: (subject: Subject) => readonly Fault[];
}

/** A rule for the container of the application. */
export interface AppSubject extends Subject {
  readonly application: Application;
  readonly appContainer: Container;
}

export function codeRule(name: string, severity: Rule['severity'], reason: string, check: (subject: AppSubject) => readonly Fault[]): Rule {
  const hasApplication = (subject: Subject): subject is AppSubject =>
    subject.application !== undefined && subject.appContainer !== undefined;
  return { name, severity, reason, needsCode: true, check: (subject) => (hasApplication(subject) ? check(subject) : []) };
}

export function fileRule(name: string, severity: Rule['severity'], reason: string, check: (subject: Subject) => readonly Fault[]): Rule {
  return { name, severity, reason, needsCode: false, check };
}
