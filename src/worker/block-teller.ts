import { write } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { describeError, toOneLine } from '../errors.js';
import { showDuration } from '../registry/duration.js';
import { MINUTE_MS } from '../registry/pace.js';
import type { BlockLimits, SeenBlock, ThreadData } from '../thread/messages.js';
import { SessionFlag } from '../thread/session-flag.js';
import { describeBlocker, hasFile, readFrames } from '../thread/stack.js';
import { OWN_FRAMES, takeMainStack } from './main-stack.js';

const STANDARD_ERROR = 2;

/** JavaScript gives its stack at once. What takes longer is a synchronous call to the system, or one long built-in. */
const PROMPT_MS = 250;

/** Where promises never come to an end, the main thread is between two of their callbacks as a rule. Of a hundred attempts three find one that does nothing else. */
const MOST_ATTEMPTS = 200;
const ATTEMPT_EVERY_MS = 10;

/** A stack that was read at the very end of a block may still be on its way. */
const STACK_ARRIVES_WITHIN_MS = 100;

/** A block that lasts, or has just ended. */
class Block {
  frames: readonly string[] = [];
  /** Why there are none. */
  problem: string | undefined = 'no more than one is taken a minute';
  /** Until the frames are known, or why there are none. */
  reading: Promise<void> | undefined;
  /** Whether the main thread could be interrupted. */
  hasAnswered = false;
  isLate = false;
  /** Another block was told of less than a minute ago: this one is, if it lasts until the minute is over. */
  isQuiet = true;
  /** Whether a line has told of it. */
  isTold = false;
  isEndOfLivenessTold = false;
  isOver = false;
}

/**
 * Tells of the blocks that last for longer than readiness allows. While one lasts it writes a line itself: the main thread has the logger, and may be killed before it turns again.
 * When it is over the main thread hears what is known.
 */
export class BlockTeller {
  readonly #folder = process.cwd();
  readonly #flag: SessionFlag;
  #block: Block | undefined;
  #toldAt = -Infinity;

  constructor(
    private readonly data: ThreadData,
    private readonly onOver: (block: SeenBlock) => void,
  ) {
    this.#flag = new SessionFlag(data.session);
  }

  /** Called at intervals while the main loop is blocked. */
  look(blockedMs: number, { notReadyAfterMs, deadAfterMs }: BlockLimits): void {
    if (blockedMs < notReadyAfterMs) return;
    const block = (this.#block ??= new Block());
    if (block.isQuiet && performance.now() - this.#toldAt >= MINUTE_MS) this.#wake(block);
    if (blockedMs >= deadAfterMs && !block.isEndOfLivenessTold) {
      block.isEndOfLivenessTold = true;
      return this.#say(block, blockedMs, ', and liveness fails from now on');
    }
    const isKnown = block.frames.length > 0 || performance.now() - this.#toldAt >= PROMPT_MS;
    if (isKnown && !block.isTold && !block.isQuiet) this.#say(block, blockedMs);
  }

  /** The main loop turns again. */
  end(durationMs: number): void {
    const block = this.#block;
    this.#block = undefined;
    if (block === undefined) return;
    block.isOver = true;
    void this.#report(block, durationMs);
  }

  #wake(block: Block): void {
    this.#toldAt = performance.now();
    block.isQuiet = false;
    block.isTold = false;
    block.problem = this.data.stackProblem;
    if (block.problem === undefined) block.reading = this.#read(block);
  }

  async #read(block: Block): Promise<void> {
    try {
      for (let attempt = 1; attempt <= MOST_ATTEMPTS && !block.isOver; attempt += 1) {
        const startedAt = performance.now();
        const frames = readFrames(await takeMainStack(this.#flag), this.#folder, OWN_FRAMES);
        block.hasAnswered = true;
        if (hasFile(frames)) {
          block.isLate = performance.now() - startedAt > PROMPT_MS;
          block.frames = frames;
          return;
        }
        await pause(ATTEMPT_EVERY_MS);
      }
      block.problem = 'no function of a file was found in it';
    } catch (error) {
      block.problem = describeError(error);
    }
  }

  async #report(block: Block, durationMs: number): Promise<void> {
    await Promise.race([block.reading, pause(STACK_ARRIVES_WITHIN_MS)]);
    const { frames, problem, isLate, isTold } = block;
    this.onOver({ durationMs, stack: frames, stackProblem: problem, isLate, isTold });
  }

  #say(block: Block, blockedMs: number, rest = ''): void {
    block.isTold = true;
    if (this.data.isSilent) return;
    const text = `the event loop has been blocked for ${showDuration(blockedMs)}${describe(block)}${rest}`;
    // Not synchronously: a pipe that nobody reads would block this thread too.
    write(STANDARD_ERROR, `koa-probes: ${toOneLine(text)}\n`, () => {});
  }
}

function describe({ frames, problem, hasAnswered }: Block): string {
  const by = describeBlocker(frames);
  if (by !== undefined) return ` by ${by}`;
  if (problem !== undefined) return ` (its stack is not known: ${problem})`;
  return hasAnswered ? ', between two callbacks' : ' by a synchronous call, whose stack is known when it returns';
}
