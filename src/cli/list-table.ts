import type { ProbeDescription } from '../registry/description.js';
import { toOneLine } from './summary.cjs';

const TITLES = ['NAME', 'KINDS', 'CLASS', 'OPTIONS'];

/** Renders one row for each probe. Default values of options are listed once below the table. */
export function renderTable(probes: readonly ProbeDescription[]): string {
  if (probes.length === 0) return 'There are no probes.';
  const rows = probes.map((probe) => {
    const set = settingsOf(probe).filter(({ source }) => source !== 'default');
    return [
      probe.name,
      probe.kinds.join(', '),
      probe.className ?? '-',
      set.map(({ option, value, source }) => `${option}=${value} (${source})`).join(', ') || '-',
    ].map(toOneLine);
  });
  const widths = TITLES.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const lines = [TITLES, ...rows].map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return [...lines, '', `All other options have their defaults: ${defaultsOf(probes)}.`].join('\n');
}

function defaultsOf(probes: readonly ProbeDescription[]): string {
  const defaults = probes.flatMap(settingsOf).filter(({ source }) => source === 'default');
  return [...new Set(defaults.map(({ option, value }) => `${option}=${value}`))].join(', ');
}

function settingsOf({ options, sources }: ProbeDescription) {
  return Object.entries(options).map(([option, value]) => ({
    option,
    value: String(value),
    source: sources[option as keyof typeof options],
  }));
}
