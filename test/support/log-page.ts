import { Writable } from 'node:stream';
import type { ProbeLogger } from 'koa-probes';
import { pino } from 'pino';
import { simulateDay, simulateLife } from './simulated-day.js';

type Simulation = (createLogger: () => ProbeLogger) => Promise<void>;

const simulateFirstDay: Simulation = (createLogger) => simulateDay({ createLogger, periodMs: 10_000, seed: 1 });

/** The page with the log of each simulation in the place of what stands under its heading. */
export async function renderLogPage(page: string): Promise<string> {
  const sections: Readonly<Record<string, readonly string[]>> = {
    'The day on a console': await linesOf(simulateFirstDay),
    'A start, a slow dependency and the end': await linesOf(simulateLife),
    'The day as JSON of pino': await entriesOf(simulateFirstDay),
  };
  let written = page;
  for (const [heading, lines] of Object.entries(sections)) {
    const block = new RegExp(`(\n## ${heading}\n[^#]*?\`\`\`text\n)[^]*?(\`\`\`\n)`);
    if (!block.test(written)) throw new Error(`docs/observability-log.md has no block under "${heading}".`);
    written = written.replace(block, (_, before: string, after: string) => `${before}${lines.join('\n')}\n${after}`);
  }
  return written;
}

/** Each with its time, as \`kubectl logs --timestamps\` shows it. */
async function linesOf(simulate: Simulation): Promise<string[]> {
  const lines: string[] = [];
  const say = (message: string) => lines.push(`${new Date().toISOString().slice(0, 19)}Z ${message}`);
  await simulate(() => ({ info: say, warn: say, error: say }));
  return lines;
}

async function entriesOf(simulate: Simulation): Promise<string[]> {
  const lines: string[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _, done) {
      lines.push(chunk.toString().trimEnd());
      done();
    },
  });
  // Made while the clock is simulated.
  await simulate(() => pino({ base: null, timestamp: () => `,"time":"${new Date().toISOString()}"` }, stream));
  return lines;
}
