import { describeError } from '../errors.js';
import type { ListCommand, Outcome } from './command.cjs';
import { contain } from './contain.js';
import { renderTable } from './list-table.js';
import { AppError, loadRegistry } from './load-app.js';
import { toOneLine } from './summary.cjs';

/** Shows the probes of an application that is imported for it. It runs none of them. */
export async function listApp({ module, isJson, timeoutMs }: ListCommand, finish: (outcome: Outcome) => void): Promise<void> {
  const end = contain(timeoutMs, false, finish);
  try {
    const probes = await loadRegistry(module);
    const described = probes.list();
    probes.close();
    end({ code: 0, text: isJson ? JSON.stringify(described, null, 2) : renderTable(described) });
  } catch (error) {
    if (!(error instanceof AppError)) return end({ code: 1, text: toOneLine(`koa-probes: ${describeError(error)}`) });
    // For a developer, and no event: the whole reason.
    end({ code: error.code, text: toOneLine(`koa-probes: ${error.message}${error.code === 1 ? `: ${describeError(error.cause)}` : ''}`) });
  }
}
