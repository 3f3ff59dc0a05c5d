import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { COMMAND } from './command.js';
import { projectPath } from './consumer.js';

export type ProbeName = 'startupProbe' | 'livenessProbe' | 'readinessProbe';

export interface ExecProbe {
  readonly exec: { readonly command: readonly unknown[] };
  readonly periodSeconds: number;
  readonly timeoutSeconds?: number;
  readonly failureThreshold?: number;
}

type Container = Readonly<Partial<Record<ProbeName, ExecProbe>>> & { readonly securityContext?: Readonly<Record<string, unknown>> };

interface PodSpec {
  readonly terminationGracePeriodSeconds: number;
  readonly securityContext?: Readonly<Record<string, unknown>>;
  readonly containers: readonly [Container];
}

/** The pod of a Deployment of the examples. */
export function readPodSpec(...path: readonly string[]): PodSpec {
  const deployment = parse(readFileSync(projectPath('examples', ...path), 'utf8')) as { spec: { template: { spec: PodSpec } } };
  return deployment.spec.template.spec;
}

/** The command of one probe, as Kubernetes reads it: a list of strings, and a number is none. That of the image is the one of this project. */
export function readCommand({ exec }: ExecProbe): [string, ...string[]] {
  for (const word of exec.command) if (typeof word !== 'string') throw new TypeError(`${String(word)} of the command is not a string.`);
  const [program = '', ...args] = exec.command as string[];
  return program === '/app/node_modules/.bin/koa-probes' ? [process.execPath, COMMAND, ...args] : [program, ...args];
}
