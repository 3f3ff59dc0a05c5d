import { pathToFileURL } from 'node:url';
import { becauseOf, ConfigurationError } from '../errors.js';
import { show } from '../validation.js';

/** Imports every module that matches a glob pattern, in the order of the patterns, so that the decorators in the modules run. */
export async function importModules(patterns: readonly string[]): Promise<void> {
  if (patterns.length === 0) return;
  const { glob } = await import('tinyglobby');
  for (const pattern of patterns) {
    if (typeof pattern !== 'string' || pattern === '') {
      throw new ConfigurationError(`Expected every entry of \`modules\` of discoverProbes() to be a glob pattern, got ${show(pattern)}.`);
    }
    const files = await glob(pattern, { absolute: true, ignore: ['**/*.d.{ts,mts,cts}'], expandDirectories: false });
    if (files.length === 0) {
      throw new ConfigurationError(
        `The pattern ${show(pattern)} in \`modules\` matches no file in ${process.cwd()}. Use the path of the compiled modules, for example 'dist/probes/*.js'.`,
      );
    }
    for (const file of files.toSorted()) {
      try {
        await import(/* webpackIgnore: true */ /* @vite-ignore */ pathToFileURL(file).href);
      } catch (error) {
        throw becauseOf(`The module ${file} in \`modules\` cannot be imported`, error, ': ');
      }
    }
  }
}
