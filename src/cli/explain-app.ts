import { describeError } from '../errors.js';
import type { Outcome } from './command.cjs';
import { AppError } from './load-app.js';
import { toOneLine } from './summary.cjs';

/** Explains why an application could not be read, with the complete reason, because a developer reads it. */
export function explainApp(error: unknown): Outcome {
  if (!(error instanceof AppError)) return { code: 1, text: toOneLine(`koa-probes: ${describeError(error)}`) };
  return { code: error.code, text: toOneLine(`koa-probes: ${error.message}${error.code === 1 ? `: ${describeError(error.cause)}` : ''}`) };
}
