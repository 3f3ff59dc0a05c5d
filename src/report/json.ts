import { reasonOf, type ProbeReport, type ProbeResult, type ReasonAudience } from './report.js';
import { cutNote, fitPieces, unknownExcludesNote } from './budget.js';

/**
 * The shape of the health+json draft, with `data` beside its fields.
 * @see https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06
 */
export function renderJson(report: ProbeReport, audience: ReasonAudience): string {
  const run = report.results.filter(({ status }) => status !== 'excluded');
  const pieces = run.map((result) => ({ text: renderCheck(result, audience), isFirst: result.failure !== undefined }));
  const shown = fitPieces(pieces);
  const notes: string[] = [];
  if (shown.length < pieces.length) notes.push(cutNote(pieces.length - shown.length));
  if (report.unknownExcludes.length > 0) notes.push(unknownExcludesNote(report.unknownExcludes));
  const noted = notes.length > 0 ? `,"notes":${JSON.stringify(notes)}` : '';
  return `{"status":"${report.status}"${noted},"checks":{${shown.map(({ text }) => text).join(',')}}}`;
}

function renderCheck(result: ProbeResult, audience: ReasonAudience): string {
  const check = {
    status: result.status,
    observedValue: Math.round(result.durationMs * 1_000) / 1_000,
    observedUnit: 'ms',
    time: new Date(result.time).toISOString(),
    output: reasonOf(result, audience),
    data: result.data,
  };
  return `${JSON.stringify(result.name)}:[${JSON.stringify(check)}]`;
}
