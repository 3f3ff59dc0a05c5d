import type { ServerResponse } from 'node:http';

/** Every way to respond ends in `_storeHeader` of Node. It validates the headers in any form, and stores the head as text in `_header`. */
interface HeadStore {
  _storeHeader?: ((firstLine: string, headers: unknown) => void) | undefined;
  _header?: string | null | undefined;
  _last?: boolean | undefined;
  shouldKeepAlive?: boolean | undefined;
}

/** The connection options that `close` replaces. Others, like `Upgrade`, stay. */
const REPLACED_OPTIONS = new Set(['', 'close', 'keep-alive']);

/**
 * Makes the response say `Connection: close`, even if the application sets another value, for example a proxy that copies the headers of another server.
 * The decision is made when Node writes the head, because a request that is pipelined behind this one would otherwise be lost. Node accepts and rejects the same headers as before.
 */
export function closeWithHead(response: ServerResponse, isLast: () => boolean, onLast: () => void): void {
  const head = response as unknown as HeadStore;
  const store = head._storeHeader?.bind(response);
  if (store === undefined) return;
  head._storeHeader = (firstLine, headers) => {
    // An informational response, like 101, does not end the exchange.
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
