import { readFileSync, writeFileSync } from 'node:fs';
import { ConfigurationError, describeError } from '../errors.js';
import type { Application } from '../kubernetes/application.js';
import { renderFindings } from '../kubernetes/lint/formats.js';
import { countWorkloads, findEnvironment, fix, lint } from '../kubernetes/lint/lint.js';
import { readSource, UnreadableManifest, type Source } from '../kubernetes/lint/source.js';
import type { Outcome } from './command.cjs';
import { contain } from './contain.js';
import { explainApp } from './explain-app.js';
import { inspectApp } from './inspect-app.js';
import { checkRule, readLintRequest, type LintRequest } from './lint-arguments.js';
import { toOneLine } from './summary.cjs';

const STANDARD_INPUT = 0;

/** Checks the pod specs in files. If an application is given, it is imported, and the files are checked against it. Exit code 0: no errors; 1: errors; 2: wrong usage, or a file that cannot be read. */
export async function lintApp(words: readonly string[], finish: (timeoutMs: number) => (outcome: Outcome) => void): Promise<void> {
  let request: LintRequest;
  let sources: readonly Source[];
  try {
    request = readLintRequest(words);
    sources = readSources(request.files);
  } catch (error) {
    return finish(0)(refuse(error));
  }
  const { module, timeoutMs } = request;
  if (module === undefined) return finish(timeoutMs)(judge(sources, request, undefined));
  // The code reads at its import what the pod gives it. What is set here wins.
  for (const [name, value] of Object.entries(findEnvironment(sources, request.container))) process.env[name] ??= value;
  const end = contain(timeoutMs, { isQuiet: false, tellsReasons: true }, finish(timeoutMs));
  try {
    end(judge(sources, request, await inspectApp(module)));
  } catch (error) {
    end(explainApp(error));
  }
}

function readSources(files: readonly string[]): Source[] {
  return [...new Set(files)].map((file) => {
    const source = readSource(file === '-' ? '<stdin>' : file, readText(file));
    if (source.objects.length === 0 && /\S/.test(source.text.replace(/^\s*(#.*|---)$/gm, ''))) {
      throw new ConfigurationError(
        `${source.file} has no object of Kubernetes: nothing in it has an apiVersion and a kind. Give it manifests alone.`,
      );
    }
    for (const name of source.switchedOff) checkRule(name, `a comment in ${source.file}`);
    return source;
  });
}

function readText(file: string): string {
  try {
    return readFileSync(file === '-' ? STANDARD_INPUT : file, 'utf8');
  } catch (error) {
    throw new ConfigurationError(`${file} cannot be read: ${describeError(error)}`, { cause: error });
  }
}

function judge(
  given: readonly Source[],
  { format, isFix, container, severities }: LintRequest,
  application: Application | undefined,
): Outcome {
  const options = { application, container, severities };
  try {
    const sources = isFix ? fix(given, options) : given;
    for (const [index, { file, text }] of sources.entries()) if (text !== given[index]?.text) writeFileSync(file, text);
    const findings = lint(sources, options);
    const code = findings.some(({ severity }) => severity === 'error') ? 1 : 0;
    return { code, text: renderFindings(findings, format, countWorkloads(sources)), isResult: true };
  } catch (error) {
    return refuse(error);
  }
}

function refuse(error: unknown): Outcome {
  if (ConfigurationError.is(error) || error instanceof UnreadableManifest)
    return { code: 2, text: toOneLine(`koa-probes: ${error.message}`) };
  throw error;
}
