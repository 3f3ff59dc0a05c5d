import type { Cursor } from './cursor.js';
import type { Edit } from './rule.js';

/** Sets a key of a map. Only the value changes, or one line is added: writing the whole document anew would reformat it. */
export function setValue(map: Cursor, key: string, value: number | string, text: string): Edit {
  const old = map.get(key);
  if (old !== undefined) return { start: old.range[0], end: old.range[1], text: String(value) };
  const [first] = map.keys();
  const before = first === undefined ? undefined : map.keyAt(first);
  // After the brace, or on a line of its own before the first key.
  if (map.isFlow || before === undefined) return { start: map.range[0] + 1, end: map.range[0] + 1, text: ` ${key}: ${String(value)},` };
  const [start] = before.range;
  const column = start - (text.lastIndexOf('\n', start - 1) + 1);
  return { start, end: start, text: `${key}: ${String(value)}\n${' '.repeat(column)}` };
}

export function renameKey(map: Cursor, key: string, name: string): Edit | undefined {
  const cursor = map.keyAt(key);
  return cursor && { start: cursor.range[0], end: cursor.range[1], text: name };
}

/** Applies edits that do not overlap; of those that do, the first. */
export function applyEdits(text: string, edits: readonly Edit[]): string {
  let result = text;
  let from = Infinity;
  for (const { start, end, text: replacement } of edits.toSorted((a, b) => b.start - a.start)) {
    if (end > from) continue;
    result = result.slice(0, start) + replacement + result.slice(end);
    from = start;
  }
  return result;
}
