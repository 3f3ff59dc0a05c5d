import { escapeInvisible } from '../errors.js';
import { cutNote, fitPieces, unknownExcludesNote, type Piece } from './budget.js';
import { reasonOf, type ProbeReport, type ProbeResult, type ReasonAudience } from './report.js';

/** Information about the service, with the field names of the health+json draft. All fields are optional. */
export interface ServiceInfo {
  /** Public version of the service. */
  readonly version?: string | undefined;
  /** Release of the service, for example the commit or the build. */
  readonly releaseId?: string | undefined;
  /** Unique identifier of the service. */
  readonly serviceId?: string | undefined;
  /** Description for people. */
  readonly description?: string | undefined;
}

export const SERVICE_INFO_NAMES = ['version', 'releaseId', 'serviceId', 'description'] as const satisfies (keyof ServiceInfo)[];

/**
 * Renders a report in the format of the health+json draft, with the additional field `data`. Only the operator gets `info`. `schemas/health.schema.json` describes the format.
 * @see https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06
 */
export function renderJson(report: ProbeReport, audience: ReasonAudience, info?: ServiceInfo): string {
  const pieces = report.results.filter(({ status }) => status !== 'excluded').map((result) => renderCheck(result, audience));
  const shownInfo = audience === 'operator' && info !== undefined ? renderInfo(info) : '';
  const shown = fitPieces(pieces, shownInfo);
  const withoutData = [...shown].filter(([piece, text]) => text !== piece.text).map(([{ name }]) => name);
  const notes: string[] = [];
  if (shown.size < pieces.length) notes.push(cutNote(pieces.length - shown.size));
  if (withoutData.length > 0) notes.push(dataNote(withoutData));
  if (report.unknownExcludes.length > 0) notes.push(unknownExcludesNote(report.unknownExcludes));
  const noted = notes.length > 0 ? `,"notes":${stringify(notes)}` : '';
  return `{"status":"${report.status}"${shownInfo}${noted},"checks":{${[...shown.values()].join(',')}}}`;
}

function renderInfo(info: ServiceInfo): string {
  return SERVICE_INFO_NAMES.filter((name) => info[name] !== undefined)
    .map((name) => `,"${name}":${stringify(info[name])}`)
    .join('');
}

function renderCheck(result: ProbeResult, audience: ReasonAudience): Piece & { readonly name: string } {
  const check = {
    status: result.status,
    observedValue: Math.round(result.durationMs * 1_000) / 1_000,
    observedUnit: 'ms',
    time: new Date(result.time).toISOString(),
    output: reasonOf(result, audience),
  };
  const { name, data } = result;
  const render = (content: object) => `${JSON.stringify(name)}:[${stringify(content)}]`;
  const shortText = render(check);
  const isFirst = result.failure !== undefined;
  return data === undefined ? { name, isFirst, text: shortText } : { name, isFirst, shortText, text: render({ ...check, data }) };
}

function stringify(value: unknown): string {
  return escapeInvisible(JSON.stringify(value));
}

function dataNote([first = '', ...others]: readonly string[]): string {
  const subject = others.length === 0 ? first : `${first} and ${String(others.length)} more`;
  return `the data of ${subject} is not shown: the response would be too long`;
}
