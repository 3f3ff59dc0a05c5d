import type { ProbeKind, ProbeOptions, ResolvedProbeOptions } from '../probe.js';

/** Where a setting comes from. The name of a probe is by default that of its class. */
export type SettingSource = 'default' | 'decorator' | 'settings' | 'register';

interface Setting<T> {
  readonly value: T;
  readonly source: SettingSource;
}

/** A probe as it is set up. */
export interface ProbeDescription {
  readonly name: Setting<string>;
  readonly kinds: readonly ProbeKind[];
  /** Undefined where it was registered without one. */
  readonly className: string | undefined;
  readonly options: { readonly [Name in keyof ResolvedProbeOptions]: Setting<ResolvedProbeOptions[Name]> };
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
  name: string,
  kinds: readonly ProbeKind[],
  options: ResolvedProbeOptions,
  { className, sources }: ProbeOrigin,
): ProbeDescription {
  const settings = Object.entries(options).map(([option, value]) => [option, { value, source: sources[option] ?? 'default' }]);
  return {
    name: { value: name, source: sources['name'] ?? 'default' },
    kinds,
    className,
    options: Object.fromEntries(settings) as ProbeDescription['options'],
  };
}
