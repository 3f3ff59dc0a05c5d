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
   * The kind that the check reads from its context. A decorated class must have it.
   * @default the first kind of the class; `readiness` if it has no decorator
   */
  kind?: ProbeKind | undefined;
  /**
   * Time in milliseconds after which the run counts as failed: 1 to 3,600,000.
   * @default that of the decorator, or else 800
   */
  timeoutMs?: number | undefined;
}

/**
 * Runs a probe once, within the same bounds as in production, and resolves to its result: what is thrown, returned as a failure or not settled in time fails, and does not reject.
 * Takes an instance, decorated or not, or a class whose constructor needs no arguments. Options of the decorator count, but for `cacheMs` and `intervalMs`. Nothing is left running, but for what the check itself leaves.
 *
 * @throws ConfigurationError if it is no probe, its class lacks the kind or needs arguments, or an option is out of its range.
 * @example
 * const { status, failure } = await runProbe(new SearchProbe(fakeClient), { timeoutMs: 100 });
 */
export async function runProbe(probe: Probe | ProbeClass, options: RunProbeOptions = {}): Promise<ProbeResult> {
  rejectUnknownOptions('runProbe()', options, ['kind', 'timeoutMs']);
  const probeClass = classOf(probe);
  const instance = typeof probe === 'function' ? makeWithNew(probe) : probe;
  if (typeof (instance as Partial<Probe> | null | undefined)?.check !== 'function') {
    throw new ConfigurationError(`Expected a probe with a method \`check\`, or its class, in runProbe(), got ${show(probe)}.`);
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
    `${probeClass?.name ?? 'The class'} is no ${wanted} probe. Its decorators say ${listed(kinds)}: choose one of these, or add a decorator.`,
  );
}

function nameOf(probeClass: ProbeClass | undefined): string {
  const name = nameOfClass(probeClass?.name ?? '');
  return isName(name) && name !== 'lifecycle' ? name : 'probe';
}
