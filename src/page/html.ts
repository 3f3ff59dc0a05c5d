/** Markup that is safe to send. Only `html` makes it. */
export class Html {
  constructor(readonly markup: string) {}
}

type Value = Html | string | number | undefined | false | readonly Value[];

/** The literal parts of each template, without the indentation of the source. */
const literals = new WeakMap<TemplateStringsArray, readonly string[]>();

/** Every value is escaped, except what `html` itself has made. A list is joined; `undefined` and `false` are left out. */
export function html(strings: TemplateStringsArray, ...values: readonly Value[]): Html {
  let parts = literals.get(strings);
  if (parts === undefined) literals.set(strings, (parts = strings.map((string) => string.replace(/\n\s+/g, '\n'))));
  return new Html(parts.reduce((markup, part, index) => markup + toMarkup(values[index - 1]) + part));
}

function toMarkup(value: Value): string {
  if (value === undefined || value === false) return '';
  if (value instanceof Html) return value.markup;
  if (typeof value === 'object') return value.map(toMarkup).join('');
  return String(value).replace(/[&<>"']/g, (character) => `&#${String(character.charCodeAt(0))};`);
}
