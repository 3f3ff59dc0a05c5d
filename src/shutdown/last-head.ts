import type { ServerResponse } from 'node:http';

/** Where every way to answer ends in Node: `_storeHeader` checks what it is given, whatever its form, and keeps the head as text in `_header`. */
interface HeadStore {
  _storeHeader?: ((firstLine: string, headers: unknown) => void) | undefined;
  _header?: string | null | undefined;
  _last?: boolean | undefined;
  shouldKeepAlive?: boolean | undefined;
}

/** The options of a connection that `close` takes the place of. Others, like `Upgrade`, stay. */
const REPLACED_OPTIONS = new Set(['', 'close', 'keep-alive']);

/**
 * Makes the response say `Connection: close`, whatever the application says of the connection, as a proxy does that copies the headers of another server.
 * Decided when Node writes the head: a request that is pipelined behind this one would be lost. Whatever Node accepts or rejects, it accepts or rejects as before.
 */
export function closeWithHead(response: ServerResponse, isLast: () => boolean, onLast: () => void): void {
  const head = response as unknown as HeadStore;
  const store = head._storeHeader?.bind(response);
  if (store === undefined) return;
  head._storeHeader = (firstLine, headers) => {
    // An informational answer, like 101, is not the end of anything.
    if (response.statusCode < 200 || !isLast()) return store(firstLine, headers);
    head.shouldKeepAlive = false;
    store(firstLine, headers);
    if (typeof head._header === 'string') head._header = replaceConnection(head._header);
    head._last = true;
    onLast();
  };
}

function replaceConnection(head: string): string {
  const kept: string[] = [];
  const others = head.replace(/\r\nconnection:([^\r\n]*)/gi, (_, value: string) => {
    kept.push(...value.split(',').map((option) => option.trim()));
    return '';
  });
  const options = [...kept.filter((option) => !REPLACED_OPTIONS.has(option.toLowerCase())), 'close'];
  return `${others.slice(0, -'\r\n'.length)}Connection: ${options.join(', ')}\r\n\r\n`;
}
