import { Degraded, NotReady } from '../errors.js';
import type { AnswerSource } from '../http/endpoint.js';
import { resolveLogger } from '../logger.js';
import type { ProbeKind } from '../probe.js';
import { showDuration } from '../registry/duration.js';
import type { RunOptions } from '../registry/registry.js';
import { excluded, failed, makeReport, worseOf, type ProbeReport, type ProbeResult } from '../report/report.js';
import type { BlockLimits } from '../thread/messages.js';
import type { LastResults } from './last-results.js';

/** The check that stands for the main loop while it is blocked, in place of a probe of that name. */
const EVENT_LOOP = 'event-loop';

/** The probes of a registry whose main loop is blocked: their last results, and how long the block has lasted by now. */
export class BlockedProbes implements AnswerSource {
  /** Only functions of the application have something to complain of, and none is here. */
  readonly logger = resolveLogger(false);

  constructor(
    private readonly last: LastResults,
    private readonly limits: BlockLimits,
    private readonly readBlockedMs: () => number,
  ) {}

  has(kind: ProbeKind, name: string): boolean {
    return this.last.has(kind, name);
  }

  run(kind: ProbeKind, options?: RunOptions): Promise<ProbeReport> {
    return Promise.resolve(this.report(kind, options));
  }

  report(kind: ProbeKind, { exclude = [], only }: RunOptions = {}): ProbeReport {
    const loop = judgeLoop(kind, this.readBlockedMs(), this.limits);
    const known = this.last.of(kind).filter(({ name }) => only === undefined || name === only);
    const judged = loop === undefined ? known : [loop, ...known.filter(({ name }) => name !== EVENT_LOOP)];
    const results = judged.map((result) => (exclude.includes(result.name) ? excluded(result.name) : result));
    const isKnown = (name: string) => this.has(kind, name) || name === loop?.name;
    const unknownExcludes = [...new Set(exclude)].filter((name) => !isKnown(name));
    return makeReport({ kind, status: results.reduce(worseOf, 'pass' as const), readResults: () => results }, unknownExcludes);
  }

  /** The main thread hears of each answer that was sent. */
  noteAnswer(): void {}
}

/** A block is no reason to restart until it has lasted for too long: nothing but the loop itself can say whether it will go on. */
function judgeLoop(kind: ProbeKind, blockedMs: number, { notReadyAfterMs, deadAfterMs }: BlockLimits): ProbeResult | undefined {
  if (blockedMs < notReadyAfterMs) return undefined;
  const text = `the event loop has been blocked for ${showDuration(blockedMs)}`;
  if (kind === 'readiness' || blockedMs >= deadAfterMs) return failed(EVENT_LOOP, blockedMs, new NotReady(text));
  return { ...failed(EVENT_LOOP, blockedMs, new Degraded(text)), status: 'warn' };
}
