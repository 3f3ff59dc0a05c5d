import { escapeInvisible } from '../errors.js';

/** The kubelet reads at most this much of a body. */
export const MAX_BODY_BYTES = 10_240;

/** Reserved for the text around the list: its frame, the line about unknown excludes, and the line that says how many checks are not shown. */
const RESERVED_BYTES = 2_048;

/** The part of a body for one check. */
export interface Piece {
  readonly text: string;
  /** The same text without data, if there is any. */
  readonly shortText?: string | undefined;
  /** Whether it takes precedence if the space is short, so that a shortened list still shows what is wrong. */
  readonly isFirst: boolean;
}

/** Adds one byte for the separator. */
const sizeOf = (text: string): number => Buffer.byteLength(text) + 1;

/** Selects the pieces that fit next to `frame`. Returns them in their order, each with the text to show. Checks take precedence over data. */
export function fitPieces<P extends Piece>(pieces: readonly P[], frame = ''): ReadonlyMap<P, string> {
  let room = MAX_BODY_BYTES - RESERVED_BYTES - Buffer.byteLength(frame);
  const isTaken = (size: number) => {
    if (size > room) return false;
    room -= size;
    return true;
  };
  const shortTextOf = (piece: P) => piece.shortText ?? piece.text;
  const firstComeFirst = [...pieces.filter(({ isFirst }) => isFirst), ...pieces.filter(({ isFirst }) => !isFirst)];
  const kept = new Set(firstComeFirst.filter((piece) => isTaken(sizeOf(shortTextOf(piece)))));
  const shown = pieces.filter((piece) => kept.has(piece));
  return new Map(shown.map((piece) => [piece, isTaken(sizeOf(piece.text) - sizeOf(shortTextOf(piece))) ? piece.text : shortTextOf(piece)]));
}

export function cutNote(cut: number): string {
  return `${String(cut)} more ${cut === 1 ? 'check is' : 'checks are'} not shown`;
}

/** The names come from the request. They are quoted, so that they cannot forge a line, and shortened, so that they cannot fill the body. */
export function unknownExcludesNote(names: readonly string[]): string {
  const quoted = names.map((name) => escapeInvisible(JSON.stringify(name))).join(',');
  return `some health checks cannot be excluded: no matches for ${quoted.length > 400 ? `${quoted.slice(0, 400)}...` : quoted}`;
}
