/** The kubelet reads this much of a body. */
const MAX_BODY_BYTES = 10_240;

/** Kept free for what stands around the list: its frame, the line on unknown excludes, the line that says how many were cut. */
const RESERVED_BYTES = 2_048;

/** What one check adds to a body. */
export interface Piece {
  readonly text: string;
  /** It has the first claim to the room: a list that is cut still tells what is wrong. */
  readonly isFirst: boolean;
}

/** The pieces for which there is room, in their order. */
export function fitPieces(pieces: readonly Piece[]): readonly Piece[] {
  let room = MAX_BODY_BYTES - RESERVED_BYTES;
  const fits = ({ text }: Piece) => {
    // One byte for what separates a piece from the next.
    const size = Buffer.byteLength(text) + 1;
    if (size > room) return false;
    room -= size;
    return true;
  };
  const kept = new Set([...pieces.filter(({ isFirst }) => isFirst), ...pieces.filter(({ isFirst }) => !isFirst)].filter(fits));
  return kept.size === pieces.length ? pieces : pieces.filter((piece) => kept.has(piece));
}

export function cutNote(cut: number): string {
  return `${String(cut)} more ${cut === 1 ? 'check is' : 'checks are'} not shown`;
}

/** Names come from the request: quoted, so that they cannot forge a line, and cut, so that they cannot fill the body. */
export function unknownExcludesNote(names: readonly string[]): string {
  const quoted = names.map((name) => JSON.stringify(name)).join(',');
  return `some health checks cannot be excluded: no matches for ${quoted.length > 400 ? `${quoted.slice(0, 400)}...` : quoted}`;
}
