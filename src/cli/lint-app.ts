import { readFileSync, writeFileSync } from 'node:fs';
import { ConfigurationError, describeError } from '../errors.js';
import type { Application } from '../kubernetes/application.js';
import { renderFindings } from '../kubernetes/lint/formats.js';
import { fix, lint } from '../kubernetes/lint/lint.js';
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
  if (request.module === undefined) return finish(request.timeoutMs)(judge(sources, request, undefined));
  const end = contain(request.timeoutMs, { isQuiet: false, tellsReasons: true }, finish(request.timeoutMs));
  try {
    end(judge(sources, request, await inspectApp(request.module)));
  } catch (error) {
    end(explainApp(error));
  }
}

function readSources(files: readonly string[]): Source[] {
  return files.map((file) => {
    const source = readSource(file === '-' ? '<stdin>' : file, readText(file));
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
  const sources = isFix ? fix(given, options) : given;
  for (const [index, { file, text }] of sources.entries()) if (text !== given[index]?.text) writeFileSync(file, text);
  const findings = lint(sources, options);
  return { code: findings.some(({ severity }) => severity === 'error') ? 1 : 0, text: renderFindings(findings, format) };
}

function refuse(error: unknown): Outcome {
  if (ConfigurationError.is(error) || error instanceof UnreadableManifest)
    return { code: 2, text: toOneLine(`koa-probes: ${error.message}`) };
  throw error;
}
