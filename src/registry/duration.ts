const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
] as const;

/** Shows a duration in at most two units: `820 ms`, `2.1 s`, `12 min 5 s`, `3 h`. */
export function showDuration(durationMs: number): string {
  if (durationMs < 1_000) return `${String(Math.round(durationMs))} ms`;
  if (durationMs < 10_000) return `${String(Math.round(durationMs / 100) / 10)} s`;
  const place = UNITS.findIndex(([, size]) => durationMs >= size);
  const shown: string[] = [];
  let restMs = durationMs;
  for (const [unit, sizeMs] of UNITS.slice(place, place + 2)) {
    const count = Math.floor(restMs / sizeMs);
    restMs -= count * sizeMs;
    if (count > 0) shown.push(`${String(count)} ${unit}`);
  }
  return shown.join(' ');
}

export function showCount(count: number, noun: string): string {
  return `${String(count)} ${noun}${count === 1 ? '' : 's'}`;
}
