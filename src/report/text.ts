import { reasonOf, type ProbeReport, type ProbeResult, type ReasonAudience } from './report.js';
import { cutNote, fitPieces, unknownExcludesNote } from './budget.js';

export interface TextOptions {
  /** The requested path without its slash. It names the check in the last line. */
  readonly title: string;
  readonly audience: ReasonAudience;
  readonly isVerbose: boolean;
}

/** Renders the text format of the Kubernetes API server: `ok`, or one line for each check. A failure always has one line for each check. */
export function renderText(report: ProbeReport, { title, audience, isVerbose }: TextOptions): string {
  if (report.status !== 'fail' && !isVerbose) return 'ok';
  const pieces = report.results.map((result) => ({ text: renderLine(result, audience), isFirst: result.failure !== undefined }));
  const shown = fitPieces(pieces);
  const lines = [...shown.values()];
  if (shown.size < pieces.length) lines.push(`... ${cutNote(pieces.length - shown.size)}`);
  if (report.unknownExcludes.length > 0) lines.push(`warn: ${unknownExcludesNote(report.unknownExcludes)}`);
  lines.push(`${title} check ${report.status === 'fail' ? 'failed' : 'passed'}`);
  return `${lines.join('\n')}\n`;
}

function renderLine(result: ProbeResult, audience: ReasonAudience): string {
  const reason = reasonOf(result, audience) ?? '';
  const lines: Record<ProbeResult['status'], string> = {
    pass: `[+]${result.name} ok`,
    warn: `[+]${result.name} degraded: ${reason}`,
    fail: `[-]${result.name} failed: ${reason}`,
    excluded: `[+]${result.name} excluded: ok`,
  };
  return lines[result.status];
}
