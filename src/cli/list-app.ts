import type { ListCommand, Outcome } from './command.cjs';
import { contain } from './contain.js';
import { explainApp } from './explain-app.js';
import { inspectApp } from './inspect-app.js';
import { renderTable } from './list-table.js';
import { renderServing } from './serving-lines.js';

/** Imports an application and shows its probes. It runs none of them. */
export async function listApp({ module, isJson, timeoutMs }: ListCommand, finish: (outcome: Outcome) => void): Promise<void> {
  const end = contain(timeoutMs, { isQuiet: false, tellsReasons: true }, finish);
  try {
    const application = await inspectApp(module);
    end({
      code: 0,
      text: isJson ? JSON.stringify(application, null, 2) : `${renderTable(application.probes)}\n\n${renderServing(application.serving)}`,
    });
  } catch (error) {
    end(explainApp(error));
  }
}
