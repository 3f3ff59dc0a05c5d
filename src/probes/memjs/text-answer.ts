import type { Socket } from 'node:net';

/** Most characters of a line in a message. */
const MOST_CHARACTERS = 120;

/** If no more data arrives for this time, the line counts as complete. */
const QUIET_MS = 50;

/** Returns the first line that a server sends instead of an answer, prepared for a message. It waits only briefly for the rest of the line, and never rejects. */
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

/** Returns the first line of a text in printable ASCII. All other characters are escaped, so that the text cannot forge a line in a log. */
export function excerpt(text: string): string {
  const [line = ''] = text
    .slice(0, 2 * MOST_CHARACTERS)
    .trimStart()
    .split(/[\r\n]/, 1);
  const printable = line.trimEnd().replace(/[^\x20-\x7e]/g, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
  return printable.length > MOST_CHARACTERS ? `${printable.slice(0, MOST_CHARACTERS)}…` : printable;
}
