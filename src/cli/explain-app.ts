import { describeError } from '../errors.js';
import type { Outcome } from './command.cjs';
import { AppError } from './load-app.js';
import { toOneLine } from './summary.cjs';

/** Why an application could not be read. It is for a developer, and no event: the whole reason. */
export function explainApp(error: unknown): Outcome {
  if (!(error instanceof AppError)) return { code: 1, text: toOneLine(`koa-probes: ${describeError(error)}`) };
  return { code: error.code, text: toOneLine(`koa-probes: ${error.message}${error.code === 1 ? `: ${describeError(error.cause)}` : ''}`) };
}
