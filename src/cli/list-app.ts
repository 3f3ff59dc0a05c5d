import { describeError } from '../errors.js';
import type { ListCommand, Outcome } from './command.cjs';
import { contain } from './contain.js';
import { inspectApp } from './inspect-app.js';
import { renderTable } from './list-table.js';
import { AppError } from './load-app.js';
import { renderServing } from './serving-lines.js';
import { toOneLine } from './summary.cjs';

/** Shows the probes of an application that is imported for it. It runs none of them. */
export async function listApp({ module, isJson, timeoutMs }: ListCommand, finish: (outcome: Outcome) => void): Promise<void> {
  const end = contain(timeoutMs, false, finish);
  try {
    const application = await inspectApp(module);
    const text = isJson
      ? JSON.stringify(application, null, 2)
      : `${renderTable(application.probes)}\n\n${renderServing(application.serving)}`;
    end({ code: 0, text });
  } catch (error) {
    end(explainApp(error));
  }
}

/** For a developer, and no event: the whole reason. */
function explainApp(error: unknown): Outcome {
  if (!(error instanceof AppError)) return { code: 1, text: toOneLine(`koa-probes: ${describeError(error)}`) };
  return { code: error.code, text: toOneLine(`koa-probes: ${error.message}${error.code === 1 ? `: ${describeError(error.cause)}` : ''}`) };
}
