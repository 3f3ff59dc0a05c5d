/** The identifier that the targets of a bundled probe are bound to. It fits `bind()` of every version of Inversify, so that the type of the target is checked. */
// oxlint-disable-next-line typescript/no-explicit-any -- Inversify's own types use it too
export type TargetToken<T> = symbol | (new (...args: any[]) => T);
