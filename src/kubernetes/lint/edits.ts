import type { Cursor } from './cursor.js';

/** What removes a fault: a key of a map gets another value, or another name. */
export type Repair =
  | { readonly map: Cursor; readonly key: string; readonly value: number }
  | { readonly map: Cursor; readonly key: string; readonly name: string };

/** A change of a text: characters from `start` to `end` become `text`. */
export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** Only the value or the name changes, or one line is added: writing the whole document anew would reformat it. Undefined if the change would reach other places too. */
export function toEdit(repair: Repair, text: string): Edit | undefined {
  const { map, key } = repair;
  if (map.isShared) return undefined;
  const own = map.keyAt(key);
  if ('name' in repair) return own && { start: own.range[0], end: own.range[1], text: quotedLike(own, repair.name, text) };
  const value = String(repair.value);
  const old = map.get(key);
  if (old !== undefined) return old.isShared ? undefined : { start: old.range[0], end: old.range[1], text: value };
  return insert(map, key, value, text);
}

function insert(map: Cursor, key: string, value: string, text: string): Edit {
  const [first] = map.keys();
  const before = first === undefined ? undefined : map.keyAt(first);
  const name = before === undefined ? key : quotedLike(before, key, text);
  // After the brace, or on a line of its own before the first key.
  if (map.isFlow || before === undefined) {
    const start = map.range[0] + 1;
    return { start, end: start, text: ` ${name}: ${value}${before === undefined ? ' ' : ','}` };
  }
  const [start] = before.range;
  const column = start - (text.lastIndexOf('\n', start - 1) + 1);
  return { start, end: start, text: `${name}: ${value}\n${' '.repeat(column)}` };
}

/** JSON is YAML too, and its keys have quotes. */
function quotedLike(key: Cursor, name: string, text: string): string {
  const quote = text[key.range[0]] ?? '';
  return quote === '"' || quote === "'" ? quote + name + quote : name;
}

/** Applies edits. Of those that overlap, or that begin at the same place, one is applied. */
export function applyEdits(text: string, edits: readonly Edit[]): string {
  let result = text;
  let from = Infinity;
  for (const { start, end, text: replacement } of edits.toSorted((a, b) => b.start - a.start)) {
    if (end > from || start === from) continue;
    result = result.slice(0, start) + replacement + result.slice(end);
    from = start;
  }
  return result;
}
