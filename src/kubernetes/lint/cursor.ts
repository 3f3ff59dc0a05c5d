import { isAlias, isMap, isScalar, isSeq, type Document, type Node, type Pair } from 'yaml';

/** A place in a YAML document: its value, and where it stands in the text. Aliases and merge keys are followed. */
export class Cursor {
  constructor(
    readonly document: Document.Parsed,
    readonly node: Node,
    /** Whether the text of it stands for other places too: it has an anchor, or was reached by an alias or a merge. */
    readonly isShared = 'anchor' in node && node.anchor !== undefined,
  ) {}

  /** Offsets of the first character and behind the last one. */
  get range(): readonly [start: number, end: number] {
    const [start = 0, end = start] = this.node.range ?? [];
    return [start, end];
  }

  /** The value behind the key of a map; undefined if there is none, or it is null. */
  get(key: string): Cursor | undefined {
    const pair = this.#find(key);
    return pair === undefined ? undefined : this.#follow(pair.value, this.isShared || !this.#isOwn(pair));
  }

  /** The value at the end of a path of keys. */
  at(...keys: readonly string[]): Cursor | undefined {
    return keys.reduce<Cursor | undefined>((cursor, key) => cursor?.get(key), this);
  }

  /** The key itself. */
  keyAt(key: string): Cursor | undefined {
    const pair = this.#find(key);
    return pair === undefined ? undefined : new Cursor(this.document, pair.key as Node, this.isShared || !this.#isOwn(pair));
  }

  keys(): string[] {
    return this.pairs().map(keyOf);
  }

  /** The elements of a list; none if it is no list. */
  items(): Cursor[] {
    return isSeq(this.node) ? this.node.items.flatMap((item) => this.#follow(item, this.isShared) ?? []) : [];
  }

  get value(): unknown {
    return isScalar(this.node) ? this.node.value : this.node.toJS(this.document);
  }

  get text(): string | undefined {
    const { value } = this;
    return typeof value === 'string' ? value : typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined;
  }

  get number(): number | undefined {
    return typeof this.value === 'number' ? this.value : undefined;
  }

  get isMap(): boolean {
    return isMap(this.node);
  }

  /** `{ a: 1 }`, and not a line for each key. */
  get isFlow(): boolean {
    return isMap(this.node) && this.node.flow === true;
  }

  #find(key: string): Pair | undefined {
    const own = isMap(this.node) ? this.node.items.find((pair) => isScalar(pair.key) && pair.key.value === key) : undefined;
    return own ?? this.pairs().find((pair) => keyOf(pair) === key);
  }

  /** Own keys win over those that are merged in by `<<`. */
  private pairs(): readonly Pair[] {
    if (!isMap(this.node)) return [];
    if (!this.node.items.some((pair) => keyOf(pair) === '<<')) return this.node.items;
    const own = this.node.items.filter((pair) => keyOf(pair) !== '<<');
    const merged = this.node.items.filter((pair) => keyOf(pair) === '<<').flatMap(({ value }) => this.#mergedPairs(value));
    return [...own, ...merged.filter((pair) => !own.some((one) => keyOf(one) === keyOf(pair)))];
  }

  #mergedPairs(value: unknown): readonly Pair[] {
    const source = this.#follow(value, true);
    if (source === undefined) return [];
    return isSeq(source.node) ? source.items().flatMap((one) => one.pairs()) : source.pairs();
  }

  #isOwn(pair: Pair): boolean {
    return isMap(this.node) && this.node.items.includes(pair);
  }

  #follow(value: unknown, isShared: boolean): Cursor | undefined {
    const node = isAlias(value) ? value.resolve(this.document) : (value as Node | null | undefined);
    if (node === null || node === undefined || (isScalar(node) && node.value === null)) return undefined;
    const hasAnchor = 'anchor' in node && node.anchor !== undefined;
    return new Cursor(this.document, node, isShared || hasAnchor || isAlias(value));
  }
}

function keyOf({ key }: Pair): string {
  if (!isScalar(key)) return '';
  // The key of a merge is a symbol.
  return typeof key.value === 'symbol' ? (key.value.description ?? '') : String(key.value);
}
