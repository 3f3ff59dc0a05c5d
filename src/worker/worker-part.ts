import type { BlockLimits, ToMain } from '../thread/messages.js';
import type { LastResults } from './last-results.js';

/** Something that the thread does. */
export interface WorkerPart {
  readonly limits: BlockLimits;
  /** It waits for the main thread, and is to be told soon if the main loop is blocked. */
  readonly isWaiting: boolean;
  /** Called at intervals while the main loop is blocked. */
  onBlocked(blockedMs: number): void;
  onTurning(): void;
  onDetached(): void;
  close(): unknown;
}

/** The main loop and the main thread, as the parts see them. */
export interface MainSide {
  readonly last: LastResults;
  /** For how many milliseconds the main loop has been blocked; 0 while it turns. */
  readBlockedMs(): number;
  /** Whether the main thread is not to be asked any more: its registry is closed. */
  readonly isDetached: boolean;
  post(message: ToMain): void;
  /** Posts what the main thread has to answer. */
  ask(message: ToMain): void;
  /** The part has ended. */
  onClosed(id: number): void;
}
