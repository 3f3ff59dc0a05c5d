import { renderText } from '../report/text.js';
import { statusCodeOf } from '../report/report.js';
import type { Outcome, ProbeCommand } from './command.cjs';
import { contain } from './contain.js';
import { AppError, loadRegistry } from './load-app.js';
import { summarise, toOneLine } from './summary.cjs';

/** Imports an application and runs its probes. */
export async function probeApp(module: string, command: ProbeCommand, finish: (outcome: Outcome) => void): Promise<void> {
  const { target, timeoutMs, verbosity } = command;
  const end = contain(timeoutMs, { isQuiet: verbosity === 'quiet', tellsReasons: false }, finish);
  try {
    const probes = await loadRegistry(module);
    const report = await probes.run(target.kind);
    // Closing removes the sockets and heartbeats of the application.
    probes.close();
    const body = renderText(report, { title: target.path.slice(1), audience: 'public', isVerbose: verbosity === 'verbose' });
    end({
      code: report.status === 'fail' ? 1 : 0,
      text: summarise({ status: statusCodeOf(report), body }, target.path, verbosity),
    });
  } catch (error) {
    end(
      error instanceof AppError
        ? {
            code: error.code,
            text: toOneLine(
              `koa-probes: ${error.message}${error.code === 1 ? `: reason withheld. \`koa-probes list --app ${module}\` shows it.` : ''}`,
            ),
          }
        : { code: 1, text: `koa-probes: ${target.path} failed` },
    );
  }
}
