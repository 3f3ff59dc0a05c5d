import { makeWithNew } from '../discovery/new-probes.js';
import { readProbeMetadata, type ProbeMetadata } from '../discovery/metadata.js';
import { ConfigurationError } from '../errors.js';
import { nameOfClass, PROBE_KINDS, type Probe, type ProbeClass, type ProbeKind } from '../probe.js';
import { ProbeRegistry } from '../registry/registry.js';
import type { ProbeResult } from '../report/report.js';
import { checkOneOf, isName, listed, rejectUnknownOptions, show } from '../validation.js';

export { resetProbes } from '../discovery/metadata.js';

export interface RunProbeOptions {
  /**
   * The kind that the check reads from its context. A decorated class must have this kind.
   * @default the first kind of the class, or `readiness` if the class has no decorator
   */
  kind?: ProbeKind | undefined;
  /**
   * Timeout of the run in milliseconds, 1 to 3,600,000. A run that exceeds it fails.
   * @default the timeout of the decorator, or else 800
   */
  timeoutMs?: number | undefined;
}

/**
 * Runs a probe once, within the same limits as in production, and resolves to its result. The promise does not reject if the check fails: a check that throws, returns a failure or exceeds its timeout has the status `fail`.
 *
 * Pass an instance, with or without a decorator, or a class whose constructor needs no arguments. The options of the decorator apply, except `cacheMs` and `intervalMs`.
 * No timer or listener of the library is left afterwards.
 *
 * @throws ConfigurationError if the argument is not a probe, its class does not have the kind or needs constructor arguments, or an option is out of range
 * @example
 * const { status, failure } = await runProbe(new SearchProbe(fakeClient), { timeoutMs: 100 });
 */
export async function runProbe(probe: Probe | ProbeClass, options: RunProbeOptions = {}): Promise<ProbeResult> {
  rejectUnknownOptions('runProbe()', options, ['kind', 'timeoutMs']);
  const probeClass = classOf(probe);
  const instance = typeof probe === 'function' ? makeWithNew(probe) : probe;
  if (typeof (instance as Partial<Probe> | null | undefined)?.check !== 'function') {
    throw new ConfigurationError(
      `Expected the argument of runProbe() to be a probe with a \`check\` method, or the class of a probe, got ${show(probe)}.`,
    );
  }
  const metadata = probeClass && readProbeMetadata(probeClass);
  const kind = chooseKind(options.kind, probeClass, metadata);
  const name = metadata?.options.name ?? nameOf(probeClass);
  const registry = new ProbeRegistry({ logger: false });
  try {
    const timeoutMs = options.timeoutMs ?? metadata?.options.timeoutMs;
    const settings = { ...metadata?.options, timeoutMs, cacheMs: 0, intervalMs: 0 };
    registry.register({ ...settings, name, kinds: [kind], check: (context) => instance.check(context) });
    const { results } = await registry.run(kind, { only: name });
    return results[0]!;
  } finally {
    registry.close();
  }
}

function classOf(probe: Probe | ProbeClass): ProbeClass | undefined {
  if (typeof probe === 'function') return probe;
  const { constructor } = (probe ?? {}) as { constructor?: unknown };
  return typeof constructor === 'function' && constructor !== Object ? (constructor as ProbeClass) : undefined;
}

function chooseKind(wanted: ProbeKind | undefined, probeClass: ProbeClass | undefined, metadata: ProbeMetadata | undefined): ProbeKind {
  const kinds = metadata?.kinds ?? PROBE_KINDS;
  if (wanted === undefined) return metadata?.kinds[0] ?? 'readiness';
  checkOneOf('runProbe()', 'kind', wanted, PROBE_KINDS);
  if (kinds.includes(wanted)) return wanted;
  throw new ConfigurationError(
    `${probeClass?.name ?? 'The class'} is not a ${wanted} probe. The kinds of its decorators are ${listed(kinds)}. Choose one of these, or add a decorator.`,
  );
}

function nameOf(probeClass: ProbeClass | undefined): string {
  const name = nameOfClass(probeClass?.name ?? '');
  return isName(name) && name !== 'lifecycle' ? name : 'probe';
}
