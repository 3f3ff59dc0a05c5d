/** Any class, with any constructor arguments. */
export type AnyClass = abstract new (...args: never[]) => unknown;

/** Returns the class that `anyClass` extends. */
export function baseOf(anyClass: AnyClass): AnyClass | undefined {
  const base = Object.getPrototypeOf(anyClass) as unknown;
  return typeof base === 'function' && base !== Function.prototype ? (base as AnyClass) : undefined;
}

const NAMED = /(?<![.\w$])(["']?)constructor\1\s*\(/;

/** The constructor that a compiler generates for a class that has fields but no constructor. TypeScript and esbuild write `super(...arguments)`, Babel and swc `super(...args)`. */
const WRITTEN_BY_COMPILER =
  /(?<![.\w$])constructor\s*\((?:\s*\)\s*\{[^{}]*?\bsuper\s*\(\s*\.\.\.\s*arguments\s*\)|\s*\.\.\.\s*([\w$]+)\s*\)\s*\{[^{}]*?\bsuper\s*\(\s*\.\.\.\s*\1\s*\))/;

/** Returns whether the author wrote no constructor, so that the arguments go to the inherited one. Only the source of the class tells. */
export function inheritsConstructor(anyClass: AnyClass): boolean {
  if (baseOf(anyClass) === undefined) return false;
  const source = Function.prototype.toString.call(anyClass);
  return !NAMED.test(source) || WRITTEN_BY_COMPILER.test(source);
}

/** Returns the class whose constructor was written by its author: `anyClass` itself or a class that it extends. */
export function constructorOf(anyClass: AnyClass): AnyClass {
  let owner = anyClass;
  while (inheritsConstructor(owner)) owner = baseOf(owner)!;
  return owner;
}
