/** What targets of a bundled probe are bound to. It fits `bind()` of every version of Inversify, which then knows the type of the target. */
// oxlint-disable-next-line typescript/no-explicit-any -- Inversify's own types have it too
export type TargetToken<T> = symbol | (new (...args: any[]) => T);
