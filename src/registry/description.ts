import type { ProbeKind, ProbeOptions, ResolvedProbeOptions } from '../probe.js';
import type { ProbeResult } from '../report/report.js';
import type { Monitor } from '../run/monitor.js';

/** Where a setting comes from. The default name of a probe is derived from its class. */
export type SettingSource = 'default' | 'decorator' | 'settings' | 'register';

/** The configuration of a probe and its latest result. */
export interface ProbeDescription {
  /** Name of the probe. */
  readonly name: string;
  /** Kinds of the probe. */
  readonly kinds: readonly ProbeKind[];
  /** Name of its class. Undefined for a probe without a class. */
  readonly className: string | undefined;
  /** Its options, with every default filled in. */
  readonly options: ResolvedProbeOptions;
  /** Where the name and each option come from. */
  readonly sources: Readonly<Record<'name' | keyof ResolvedProbeOptions, SettingSource>>;
  /** What it checks outside the process, for example `a database`. It is known for the bundled probes, and for the plain functions of this package once they have been called. */
  readonly outside: string | undefined;
  /** The result of its last run. Undefined before the first run. */
  readonly lastResult: ProbeResult | undefined;
}

/** The origin of a probe: its class, and where its options come from. */
export interface ProbeOrigin {
  readonly className: string | undefined;
  readonly sources: Readonly<Partial<Record<string, SettingSource>>>;
}

/** Later layers override earlier ones, like the options themselves. */
export function originOf(className: string | undefined, ...layers: readonly (readonly [SettingSource, ProbeOptions])[]): ProbeOrigin {
  const sources: Record<string, SettingSource> = {};
  for (const [source, options] of layers) {
    for (const [option, value] of Object.entries(options)) if (value !== undefined) sources[option] = source;
  }
  return { className, sources };
}

export function describeProbe(
  { name, kinds, options, outside }: Monitor,
  { className, sources }: ProbeOrigin,
  lastResult: ProbeResult | undefined,
): ProbeDescription {
  const settled = ['name', ...Object.keys(options)].map((option) => [option, sources[option] ?? 'default']);
  return {
    name,
    kinds: [...kinds],
    className,
    options: { ...options },
    sources: Object.fromEntries(settled) as ProbeDescription['sources'],
    outside,
    lastResult,
  };
}
