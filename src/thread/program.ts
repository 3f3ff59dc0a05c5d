/**
 * The program of the worker thread, `src/worker/main.ts`, as one text that needs no file: a bundler takes it along with the module.
 * `npm run build` writes it in place of this one.
 */
export const PROGRAM: string = "throw new Error('koa-probes was not built: run `npm run build`.')";
