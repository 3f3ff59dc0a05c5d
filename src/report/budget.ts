import { escapeInvisible } from '../errors.js';

/** The kubelet reads this much of a body. */
const MAX_BODY_BYTES = 10_240;

/** Kept free for what stands around the list: its frame, the line on unknown excludes, the line that says how many were cut. */
const RESERVED_BYTES = 2_048;

/** What one check adds to a body. */
export interface Piece {
  readonly text: string;
  /** The same without its data, if it has any. */
  readonly shortText?: string | undefined;
  /** It has the first claim to the room: a list that is cut still tells what is wrong. */
  readonly isFirst: boolean;
}

/** One byte for what separates a piece from the next. */
const sizeOf = (text: string): number => Buffer.byteLength(text) + 1;

/** The pieces for which there is room, in their order, each with the text to show. Every check goes before the data of any. */
export function fitPieces<P extends Piece>(pieces: readonly P[]): ReadonlyMap<P, string> {
  let room = MAX_BODY_BYTES - RESERVED_BYTES;
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

/** Names come from the request: quoted, so that they cannot forge a line, and cut, so that they cannot fill the body. */
export function unknownExcludesNote(names: readonly string[]): string {
  const quoted = names.map((name) => escapeInvisible(JSON.stringify(name))).join(',');
  return `some health checks cannot be excluded: no matches for ${quoted.length > 400 ? `${quoted.slice(0, 400)}...` : quoted}`;
}
