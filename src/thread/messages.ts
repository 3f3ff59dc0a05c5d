import type { ProbeKind } from '../probe.js';
import type { ProbeResult } from '../report/report.js';

/** What the worker thread is started with. */
export interface ThreadData {
  readonly beat: SharedArrayBuffer;
  readonly session: SharedArrayBuffer;
  /** Why the stack of the main thread cannot be taken; undefined if it can. */
  readonly stackProblem: string | undefined;
  /** Whether a line may be written while the main thread, which has the logger, is blocked. */
  readonly isSilent: boolean;
}

/** How long the main loop may be blocked. */
export interface BlockLimits {
  readonly notReadyAfterMs: number;
  readonly deadAfterMs: number;
}

/** What the worker thread does for the main thread: it serves HTTP, or it keeps the files of a heartbeat. */
export type PartName = 'server' | 'files';

export type ToWorker =
  | { readonly type: 'open'; readonly id: number; readonly part: PartName; readonly limits: BlockLimits; readonly settings: object }
  | { readonly type: 'close'; readonly id: number }
  | { readonly type: 'answer'; readonly id: number; readonly request: number; readonly answer: AnswerCopy }
  /** All results of a kind that are known, in their order, and in how many milliseconds its report is there at the latest. */
  | { readonly type: 'results'; readonly kind: ProbeKind; readonly results: readonly ProbeResult[]; readonly deadlineMs: number }
  | { readonly type: 'result'; readonly kinds: readonly ProbeKind[]; readonly result: ProbeResult }
  /** The registry is about to be closed: the thread answers by itself from now on. */
  | { readonly type: 'detach' };

export type ToMain =
  | { readonly type: 'ping' }
  | { readonly type: 'opened'; readonly id: number; readonly address: unknown }
  | { readonly type: 'refused'; readonly id: number; readonly message: string }
  | { readonly type: 'closed'; readonly id: number }
  | { readonly type: 'request'; readonly id: number; readonly request: number; readonly copy: RequestCopy }
  | { readonly type: 'sent'; readonly id: number; readonly sent: SentAnswer }
  | { readonly type: 'complaint'; readonly text: string }
  | { readonly type: 'block'; readonly block: SeenBlock };

/** What another thread is told of a request. */
export interface RequestCopy {
  readonly method: string;
  readonly url: string;
  readonly httpVersion: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly headersDistinct: Readonly<Record<string, string[] | undefined>>;
  readonly rawHeaders: readonly string[];
  readonly socket: SocketCopy;
}

interface SocketCopy {
  readonly remoteAddress: string | undefined;
  readonly remotePort: number | undefined;
  readonly remoteFamily: string | undefined;
  readonly localAddress: string | undefined;
  readonly localPort: number | undefined;
}

export interface AnswerCopy {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** An answer that has left the thread. */
export interface SentAnswer {
  readonly kind: ProbeKind;
  /** The probe that was asked for alone. */
  readonly probe: string | undefined;
  readonly code: number;
  /** Whether the client had hung up before. */
  readonly isGone: boolean;
}

/** A block of the main loop that is over. */
export interface SeenBlock {
  readonly durationMs: number;
  /** The frames, innermost first. */
  readonly stack: readonly string[];
  /** Why there are none. */
  readonly stackProblem: string | undefined;
  /** Whether the stack could be taken only when a synchronous call had returned. */
  readonly isLate: boolean;
  /** Whether a line has told of it while it lasted. */
  readonly isTold: boolean;
}
