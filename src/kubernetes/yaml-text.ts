import { Document, isCollection, Pair, Scalar, YAMLMap, YAMLSeq, type Node } from 'yaml';
import { InOneLine, Noted } from './noted.js';

/** A manifest as YAML, each note in the line of its value. `heading` are lines of comment at the top. */
export function renderYaml(value: object, heading: readonly string[]): string {
  const document = new Document();
  document.contents = toNode(value);
  document.commentBefore = heading.map((line) => ` ${line}`).join('\n');
  // No line is broken: a comment belongs to the whole of it.
  return document.toString({ lineWidth: 0, singleQuote: true });
}

function toNode(value: unknown): Node {
  if (value instanceof Noted) {
    const node = toNode(value.value);
    node.comment = ` ${value.note}`;
    return node;
  }
  if (value instanceof InOneLine) {
    const node = toNode(value.value);
    if (isCollection(node)) node.flow = true;
    return node;
  }
  if (Array.isArray(value)) return fill(new YAMLSeq(), value.map(toNode));
  if (typeof value !== 'object' || value === null) return new Scalar(value);
  const entries = Object.entries(value).filter(([, one]) => one !== undefined);
  return fill(
    new YAMLMap(),
    entries.map(([name, one]) => new Pair(new Scalar(name), toNode(one))),
  );
}

function fill<Collection extends { items: unknown[] }>(collection: Collection, items: Collection['items']): Collection {
  collection.items = items;
  return collection;
}
