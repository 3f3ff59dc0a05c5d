import type { ProbeLogger } from '../logger.js';
import type { Candidate } from './names.js';

/** Logs one line with the probes that were found, by kind. It warns if there are none, unless the application has asked for none. */
export function announceProbes(logger: ProbeLogger, probes: readonly Candidate[], isNoneWanted: boolean): void {
  if (probes.length === 0 && !isNoneWanted) {
    logger.warn(
      'no probes were found, so readiness does not check the application. Import the module of each probe: `import ' +
        "'./search-probe.js'`. (The compiler drops an import that is used only as a type, and a bundler drops a bare import if package.json has `sideEffects: false`.) " +
        'Or list the modules in `modules` or the classes in `classes`. If the application has no probes, pass `classes: []`.',
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
