import { ConfigurationError } from '../errors.js';
import type { Application } from '../kubernetes/application.js';
import { describePod } from '../kubernetes/manifest.js';
import { wrapInComponent, wrapInWorkload } from '../kubernetes/workloads.js';
import { renderYaml } from '../kubernetes/yaml-text.js';
import type { Outcome } from './command.cjs';
import { contain } from './contain.js';
import { explainApp } from './explain-app.js';
import { inspectApp } from './inspect-app.js';
import { readManifestRequest, type ManifestRequest } from './manifest-arguments.js';
import { toOneLine } from './summary.cjs';

/** Imports an application and prints the part of the pod spec that it needs. It runs no probe. */
export async function manifestApp(words: readonly string[], finish: (timeoutMs: number) => (outcome: Outcome) => void): Promise<void> {
  const request = readRequest(words);
  if ('code' in request) return finish(0)(request);
  const end = contain(request.timeoutMs, { isQuiet: false, tellsReasons: true }, finish(request.timeoutMs));
  try {
    end({ code: 0, text: render(await inspectApp(request.module), request, words).trimEnd() });
  } catch (error) {
    end(explainApp(error));
  }
}

function readRequest(words: readonly string[]): ManifestRequest | Outcome {
  try {
    return readManifestRequest(words);
  } catch (error) {
    if (!ConfigurationError.is(error)) throw error;
    return { code: 2, text: toOneLine(`koa-probes: ${error.message}`) };
  }
}

function render(application: Application, { form, options, workload }: ManifestRequest, words: readonly string[]): string {
  const pod = describePod(application, options);
  const origin = toOneLine(`Made by: koa-probes manifest ${words.join(' ')}`);
  if (workload === undefined) return renderYaml(pod, [origin, 'Of the spec of a pod: `spec.template.spec` of a Deployment.']);
  const patch = wrapInWorkload(workload, pod);
  if (form === 'patch') return renderYaml(patch, [origin]);
  return renderYaml(wrapInComponent(workload, renderYaml(patch, [])), [origin]);
}
