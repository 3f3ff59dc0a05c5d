import type { Answer, Verbosity } from './command.cjs';

/** The kubelet makes an event of what a failed command says. */
const MOST_LINES = 5;
const LONGEST_LINE = 200;

interface JsonChecks {
  readonly checks?: Readonly<Record<string, readonly [{ readonly status: string; readonly output?: string }]>>;
}

/** What is said of an answer: everything where it was asked for, else the failing checks. */
function summarise({ status, body }: Answer, source: string, verbosity: Verbosity): string {
  const lines = body.split('\n').map(toLine).filter(Boolean);
  if (verbosity === 'verbose' && (status === 200 || status === 503)) return lines.join('\n');
  if (status === 200) return lines[0] ?? 'ok';
  const failures = body.startsWith('{') ? readJson(body) : lines.filter((line) => line.startsWith('[-]'));
  if (failures.length === 0) {
    const said = lines[0] === undefined ? '' : `: ${lines[0]}`;
    return `koa-probes: ${source} answered ${String(status)} and not 200${said}`;
  }
  const cut = failures.length - MOST_LINES;
  return [...failures.slice(0, MOST_LINES), ...(cut > 0 ? [`... ${String(cut)} more failed`] : [])].join('\n');
}

/** Where the application answers in JSON whatever it is asked for. */
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

/** Control characters, line breaks, and what is invisible or turns the direction of text: zero-width and bidirectional characters. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]+/gu;

/** `text` in one line. Nothing in it can forge a line, move a terminal's cursor, or read otherwise than it is. */
function toOneLine(text: string): string {
  return text.replace(UNPRINTABLE, ' ').trim();
}

export = { summarise, toOneLine };
