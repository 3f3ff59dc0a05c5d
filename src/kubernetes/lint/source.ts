import { LineCounter, parseAllDocuments, type Document } from 'yaml';
import { describeError } from '../../errors.js';
import { Cursor } from './cursor.js';

/** A text that cannot be linted at all. */
export class UnreadableManifest extends Error {}

/** One file, or the standard input. */
export interface Source {
  readonly file: string;
  readonly text: string;
  readonly objects: readonly KubernetesObject[];
  /** Names of the rules that comments switch off in this file. */
  readonly switchedOff: ReadonlySet<string>;
  /** Line and column of an offset, both from 1. */
  positionOf(offset: number): { readonly line: number; readonly column: number };
}

/** One object of Kubernetes. */
export interface KubernetesObject {
  readonly source: Source;
  readonly cursor: Cursor;
  readonly kind: string;
  readonly name: string;
  readonly namespace: string;
}

/** `# koa-probes-lint: off same-probe, initial-delay -- and why`. */
const SWITCH = /#\s*koa-probes-lint:\s*off\s+(.*?)(?:\s--.*)?$/gm;
const TEMPLATE = /\{\{-?\s*(?:\.|\$|include|template|if|range|with|end|define|toYaml|tpl)/;
/** What only Helm has: other templates may stand in a string. */
const HELM = /\{\{-?\s*(?:\.(?:Values|Release|Chart|Capabilities)\b|include |toYaml |tpl )/;
const HELM_HINT = 'it looks like a template of Helm. Render it first: pipe `helm template` into `koa-probes lint -`.';

/** The objects of a text, with those in lists. */
export function readSource(file: string, text: string): Source {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: lines, merge: true, uniqueKeys: true, logLevel: 'silent' });
  const objects: KubernetesObject[] = [];
  const source: Source = {
    file,
    text,
    objects,
    switchedOff: new Set(Array.from(text.matchAll(SWITCH), ([, names = '']) => names.split(/[\s,]+/).filter(Boolean)).flat()),
    positionOf: (offset) => {
      const { line, col } = lines.linePos(offset);
      return { line, column: col };
    },
  };
  for (const document of Array.isArray(documents) ? documents : []) {
    const [problem] = document.errors;
    if (problem !== undefined) {
      const { line, column } = source.positionOf(problem.pos[0]);
      const hint = TEMPLATE.test(text) ? HELM_HINT : `it is not valid YAML: ${problem.message.split('\n', 1)[0] ?? ''}`;
      throw new UnreadableManifest(`${file}:${String(line)}:${String(column)}: ${hint}`);
    }
    rejectLoops(file, text, document);
    if (document.contents !== null) collect(source, new Cursor(document, document.contents), objects);
  }
  return source;
}

/** An alias that refers to what it stands in has no end. */
function rejectLoops(file: string, text: string, document: Document.Parsed): void {
  if (!/(?:^|[\s[{,:-])\*\w/m.test(text)) return;
  try {
    JSON.stringify(document.toJS());
  } catch (error) {
    throw new UnreadableManifest(`${file}: its aliases refer to themselves, or are too many: ${describeError(error)}`);
  }
}

function collect(source: Source, cursor: Cursor, objects: KubernetesObject[]): void {
  const kind = cursor.get('kind')?.text;
  if (kind === undefined || cursor.get('apiVersion') === undefined) return;
  if (kind === 'List') {
    for (const item of cursor.get('items')?.items() ?? []) collect(source, item, objects);
    return;
  }
  // In a string of a ConfigMap it may be meant for another program.
  if (kind !== 'ConfigMap' && kind !== 'Secret' && HELM.test(source.text.slice(...cursor.range))) {
    throw new UnreadableManifest(`${source.file}: ${kind}: ${HELM_HINT}`);
  }
  objects.push({
    source,
    cursor,
    kind,
    name: cursor.at('metadata', 'name')?.text ?? '',
    namespace: cursor.at('metadata', 'namespace')?.text ?? '',
  });
}
