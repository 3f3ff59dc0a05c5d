import type { Socket } from 'node:net';

/** Of a line, in a message. */
const MOST_CHARACTERS = 120;

/** A line that has begun and does not go on for so long is taken as it is. */
const QUIET_MS = 50;

/** The first line that a server sends in place of an answer, fit for a message. It waits for the rest of the line, and not for long. Never rejects. */
export function readTextAnswer(socket: Socket, begun: Buffer): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const end = () => {
      clearTimeout(timer);
      resolve(excerpt(text));
    };
    const timer = setTimeout(end, QUIET_MS);
    const read = (chunk: Buffer) => {
      text += chunk.toString('latin1', 0, 2 * MOST_CHARACTERS);
      timer.refresh();
      if (/[\r\n]/.test(text.trimStart()) || text.length >= 2 * MOST_CHARACTERS) end();
    };
    socket.on('data', read).once('close', end);
    read(begun);
  });
}

/** The first line of a text in printable ASCII, everything else escaped, so that it cannot forge a line of a log. */
export function excerpt(text: string): string {
  const [line = ''] = text
    .slice(0, 2 * MOST_CHARACTERS)
    .trimStart()
    .split(/[\r\n]/, 1);
  const printable = line.trimEnd().replace(/[^\x20-\x7e]/g, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return printable.length > MOST_CHARACTERS ? `${printable.slice(0, MOST_CHARACTERS)}…` : printable;
}
