import type { Finding } from './lint.js';
import { RULES } from './lint.js';

export const FORMATS = ['text', 'json', 'github', 'sarif'] as const;
export type Format = (typeof FORMATS)[number];

/** Where each rule has a section of its name. */
const DOCUMENT = 'docs/lint.md';

/** `workloads` is how many were looked at. */
export function renderFindings(findings: readonly Finding[], format: Format, workloads: number): string {
  if (format === 'text' && workloads === 0) return 'Nothing was checked: the files have no workload.';
  return { text: renderText, json: renderJson, github: renderGithub, sarif: renderSarif }[format](findings);
}

function renderText(findings: readonly Finding[]): string {
  const lines = findings.map(
    ({ file, line, column, severity, rule, object, message }) =>
      `${file}:${String(line)}:${String(column)} ${severity} ${rule} (${object}): ${message}`,
  );
  return [...lines, summaryOf(findings)].join('\n');
}

function summaryOf(findings: readonly Finding[]): string {
  if (findings.length === 0) return 'No faults found.';
  const count = (severity: Finding['severity'], noun: string) => {
    const number = findings.filter((finding) => finding.severity === severity).length;
    return number === 0 ? [] : [`${String(number)} ${noun}${number === 1 ? '' : 's'}`];
  };
  const fixable = findings.some(({ fix }) => fix !== undefined) ? ' `--fix` mends some of them.' : '';
  return `${[...count('error', 'error'), ...count('warn', 'warning')].join(', ')}. Each rule is explained in ${DOCUMENT}.${fixable}`;
}

function renderJson(findings: readonly Finding[]): string {
  return JSON.stringify(
    findings.map(({ fix, ...finding }) => ({ ...finding, isFixable: fix !== undefined })),
    undefined,
    2,
  );
}

/** Annotations of a workflow of GitHub. */
function renderGithub(findings: readonly Finding[]): string {
  const escape = (text: string) => text.replace(/%/g, '%25').replace(/\r/g, '%0D').replace(/\n/g, '%0A');
  const escapeProperty = (text: string) => escape(text).replace(/:/g, '%3A').replace(/,/g, '%2C');
  return findings
    .map(
      ({ severity, file, line, column, endLine, rule, message }) =>
        `::${severity === 'error' ? 'error' : 'warning'} file=${escapeProperty(file)},line=${String(line)},col=${String(column)},endLine=${String(endLine)},title=${rule}::${escape(message)}`,
    )
    .join('\n');
}

/** SARIF 2.1.0, for code scanning. */
function renderSarif(findings: readonly Finding[]): string {
  const levelOf = (severity: string) => (severity === 'error' ? 'error' : 'warning');
  const rules = RULES.map(({ name, reason, severity }) => ({
    id: name,
    shortDescription: { text: reason },
    help: { text: `See ${DOCUMENT}, ${name}.` },
    defaultConfiguration: { level: levelOf(severity) },
  }));
  const results = findings.map(({ rule, severity, message, file, line, column, endLine, endColumn }) => ({
    ruleId: rule,
    ruleIndex: RULES.findIndex(({ name }) => name === rule),
    level: levelOf(severity),
    message: { text: message },
    locations: [
      {
        physicalLocation: {
          artifactLocation: { uri: encodeURI(file) },
          region: { startLine: line, startColumn: column, endLine, endColumn },
        },
      },
    ],
  }));
  const driver = { name: 'koa-probes', informationUri: 'https://www.npmjs.com/package/koa-probes', rules };
  return JSON.stringify(
    { $schema: 'https://json.schemastore.org/sarif-2.1.0.json', version: '2.1.0', runs: [{ tool: { driver }, results }] },
    undefined,
    2,
  );
}
