import { performance } from 'node:perf_hooks';
import { showCount, showDuration } from '../registry/duration.js';
import { MINUTE_MS } from '../registry/pace.js';
import type { ProbeRegistry } from '../registry/registry.js';
import type { SeenBlock } from './messages.js';
import { describeBlocker } from './stack.js';

/** What the operator is told of the blocks of the main loop: the event, the metric, and one line a minute at most, beside those that were begun while a block lasted. */
export class BlockLog {
  #toldAt = -Infinity;
  /** Durations of the blocks that no line has told of. */
  #untold: number[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly probes: ProbeRegistry) {}

  note(block: SeenBlock): void {
    const { durationMs, stack, isLate, isTold } = block;
    const by = describeBlocker(stack);
    this.probes.noteBlock({ durationMs, startedAt: Math.round(Date.now() - durationMs), by, stack, isLate });
    const now = performance.now();
    if (!isTold && now - this.#toldAt < MINUTE_MS) return this.#keep(durationMs, now);
    this.#toldAt = now;
    const text = `the event loop was blocked for ${showDuration(durationMs)}${describe(block, by)}`;
    this.probes.logger.warn(text, { durationMs: Math.round(durationMs), reason: by, stack: stack.join('\n') || undefined });
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #keep(durationMs: number, now: number): void {
    this.#untold.push(durationMs);
    this.#timer ??= setTimeout(() => this.#sumUp(), this.#toldAt + MINUTE_MS - now).unref();
  }

  #sumUp(): void {
    this.#timer = undefined;
    const blocks = this.#untold.splice(0);
    const totalMs = blocks.reduce((sum, ms) => sum + ms, 0);
    const times = blocks.length === 1 ? 'once more' : showCount(blocks.length, 'more time');
    const longest = blocks.length === 1 ? '' : `, the longest ${showDuration(Math.max(...blocks))}`;
    this.#toldAt = performance.now();
    this.probes.logger.warn(`the event loop was blocked ${times} in the last minute, for ${showDuration(totalMs)} in all${longest}`, {
      durationMs: Math.round(totalMs),
    });
  }
}

function describe({ isLate, stackProblem }: SeenBlock, by: string | undefined): string {
  if (by !== undefined) return ` by ${by}${isLate ? ' (as it was when the synchronous call returned)' : ''}`;
  return stackProblem === undefined ? '' : `. Its stack is not known: ${stackProblem}`;
}
