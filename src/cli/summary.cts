import type { Answer, Verbosity } from './command.cjs';

/** Limits of the output. The kubelet shows the output of a failed command in an event. */
const MOST_LINES = 5;
const LONGEST_LINE = 200;

interface JsonChecks {
  readonly checks?: Readonly<Record<string, readonly [{ readonly status: string; readonly output?: string }]>>;
}

/** Summarizes a response: everything if verbose output was requested, otherwise the failing checks. */
function summarise({ status, body }: Answer, source: string, verbosity: Verbosity): string {
  const lines = body.split('\n').map(toLine).filter(Boolean);
  if (verbosity === 'verbose' && (status === 200 || status === 503)) return lines.join('\n');
  if (status === 200) return lines[0] ?? 'ok';
  const failures = body.startsWith('{') ? readJson(body) : lines.filter((line) => line.startsWith('[-]'));
  if (failures.length === 0) {
    const said = lines[0] === undefined ? '' : `: ${lines[0]}`;
    return `koa-probes: ${source} answered ${String(status)}, expected 200${said}`;
  }
  const cut = failures.length - MOST_LINES;
  return [...failures.slice(0, MOST_LINES), ...(cut > 0 ? [`... ${String(cut)} more failed`] : [])].join('\n');
}

/** Reads a JSON response, for applications that always answer in JSON. */
function readJson(body: string): string[] {
  try {
    const { checks = {} } = JSON.parse(body) as JsonChecks;
    return Object.entries(checks).flatMap(([name, [check]]) =>
      check.status === 'fail' ? [toLine(`[-]${name} failed: ${check.output ?? ''}`)] : [],
    );
  } catch {
    return [];
  }
}

function toLine(text: string): string {
  const line = toOneLine(text);
  return line.length > LONGEST_LINE ? `${line.slice(0, LONGEST_LINE)}...` : line;
}

/** Control characters, line breaks, zero-width characters and bidirectional control characters. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]+/gu;

/** Puts `text` on one line. Then it cannot forge a line, move the cursor of a terminal, or look different from what it is. */
function toOneLine(text: string): string {
  return text.replace(UNPRINTABLE, ' ').trim();
}

export = { summarise, toOneLine };
