import { toOneLine } from '../errors.js';
import type { ShutdownProgress } from '../lifecycle/lifecycle.js';

const PHASES: Readonly<Record<ShutdownProgress['phase'], string>> = {
  draining: 'draining, requests are still accepted',
  closing: 'the listeners are closed',
  hooks: 'nothing is in flight any more',
  deactivating: 'the hooks are through',
  finished: 'finished',
  'timed out': 'the time is over, and what is left is cut',
};

/** One line for the operator. */
export function describeProgress({ phase, reason, elapsedMs, connections, requests, work, hooks }: ShutdownProgress): string {
  const left = [
    count(connections, 'connection'),
    `${count(requests, 'request')} in flight`,
    `${count(work.length, 'piece')} of work${namesOf(work)}`,
    `${count(hooks.length, 'hook')}${namesOf(hooks)}`,
  ];
  return toOneLine(`shutdown by ${reason} after ${elapsedMs.toFixed(0)} ms: ${PHASES[phase]}; ${left.join(', ')}`);
}

function count(number: number, noun: string): string {
  return `${String(number)} ${noun}${number === 1 ? '' : 's'}`;
}

const MOST_NAMES = 5;

function namesOf(names: readonly string[]): string {
  if (names.length === 0) return '';
  const more = names.length > MOST_NAMES ? ', …' : '';
  return ` (${names.slice(0, MOST_NAMES).join(', ')}${more})`;
}
