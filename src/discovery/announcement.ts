import type { ProbeLogger } from '../logger.js';
import type { Candidate } from './names.js';

/** One line on what was found, by kind; none found is a warning, unless it is wanted. */
export function announceProbes(logger: ProbeLogger, probes: readonly Candidate[], isNoneWanted: boolean): void {
  if (probes.length === 0 && !isNoneWanted) {
    logger.warn(
      'no probe was found, so readiness says nothing about the application. Import the module of each probe for its effect, `import ' +
        "'./search-probe.js'` (an import that is used as a type alone is dropped by the compiler, and a bare one by a bundler if package.json has `sideEffects: false`), " +
        'name the modules in `modules` or the classes in `classes`, or say with `classes: []` that there is none.',
    );
    return;
  }
  const namesByKinds = new Map<string, string[]>();
  for (const { name, metadata } of probes) {
    const kinds = metadata.kinds.join(' and ');
    namesByKinds.set(kinds, [...(namesByKinds.get(kinds) ?? []), name]);
  }
  const found = Array.from(namesByKinds, ([kinds, names]) => `${names.join(', ')} (${kinds})`).join(', ');
  logger.info(`${String(probes.length)} ${probes.length === 1 ? 'probe' : 'probes'}${found && `: ${found}`}`);
}
