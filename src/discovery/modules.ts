import { pathToFileURL } from 'node:url';
import { becauseOf, ConfigurationError } from '../errors.js';
import { show } from '../validation.js';

/** Imports every module that a glob pattern matches, in the order of the patterns, so that the decorators in them run. */
export async function importModules(patterns: readonly string[]): Promise<void> {
  if (patterns.length === 0) return;
  const { glob } = await import('tinyglobby');
  for (const pattern of patterns) {
    if (typeof pattern !== 'string' || pattern === '') {
      throw new ConfigurationError(`Expected \`modules\` of discoverProbes() to hold glob patterns, got ${show(pattern)}.`);
    }
    const files = await glob(pattern, { absolute: true, ignore: ['**/*.d.{ts,mts,cts}'], expandDirectories: false });
    if (files.length === 0) {
      throw new ConfigurationError(
        `The pattern ${show(pattern)} in \`modules\` matches no file in ${process.cwd()}. Name the compiled modules, as in 'dist/probes/*.js'.`,
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
