/** A class, whatever its constructor takes. */
export type AnyClass = abstract new (...args: never[]) => unknown;

/** The class that it extends. */
export function baseOf(anyClass: AnyClass): AnyClass | undefined {
  const base = Object.getPrototypeOf(anyClass) as unknown;
  return typeof base === 'function' && base !== Function.prototype ? (base as AnyClass) : undefined;
}

const NAMED = /(?<![.\w$])(["']?)constructor\1\s*\(/;

/** What compilers write for a class that has fields and no constructor: TypeScript and esbuild `super(...arguments)`, Babel and swc `super(...args)`. */
const WRITTEN_BY_COMPILER =
  /(?<![.\w$])constructor\s*\((?:\s*\)\s*\{[^{}]*?\bsuper\s*\(\s*\.\.\.\s*arguments\s*\)|\s*\.\.\.\s*([\w$]+)\s*\)\s*\{[^{}]*?\bsuper\s*\(\s*\.\.\.\s*\1\s*\))/;

/** Whether the class has no constructor of its author's, so that the arguments go to the one that it inherits. Only its source tells. */
export function inheritsConstructor(anyClass: AnyClass): boolean {
  if (baseOf(anyClass) === undefined) return false;
  const source = Function.prototype.toString.call(anyClass);
  return !NAMED.test(source) || WRITTEN_BY_COMPILER.test(source);
}

/** The class whose constructor an author has written: itself, or one that it extends. */
export function constructorOf(anyClass: AnyClass): AnyClass {
  let owner = anyClass;
  while (inheritsConstructor(owner)) owner = baseOf(owner)!;
  return owner;
}
