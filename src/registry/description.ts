import type { ProbeKind, ProbeOptions, ResolvedProbeOptions } from '../probe.js';
import type { ProbeResult } from '../report/report.js';
import type { Monitor } from '../run/monitor.js';

/** Where a setting comes from. The name of a probe is by default that of its class. */
export type SettingSource = 'default' | 'decorator' | 'settings' | 'register';

/** A probe as it is set up, and what is known of it. */
export interface ProbeDescription {
  readonly name: string;
  readonly kinds: readonly ProbeKind[];
  /** Undefined for a probe without a class. */
  readonly className: string | undefined;
  readonly options: ResolvedProbeOptions;
  /** Where each option comes from, and the name. */
  readonly sources: Readonly<Record<'name' | keyof ResolvedProbeOptions, SettingSource>>;
  /** What it checks outside the process, `a database` for example. Known of the bundled probes, and of the plain functions of this package once they have been called. */
  readonly outside: string | undefined;
  /** What became of its last run; undefined before the first. */
  readonly lastResult: ProbeResult | undefined;
}

/** Who has given which options of one probe. */
export interface ProbeOrigin {
  readonly className: string | undefined;
  readonly sources: Readonly<Partial<Record<string, SettingSource>>>;
}

/** Later layers win over earlier ones, as in the overlay of the options themselves. */
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
