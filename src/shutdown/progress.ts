import { toOneLine } from '../errors.js';
import type { ShutdownProgress } from '../lifecycle/lifecycle.js';

const PHASES: Readonly<Record<ShutdownProgress['phase'], string>> = {
  draining: 'draining',
  closing: 'the listeners are closed',
  hooks: 'all requests and background work finished',
  deactivating: 'all hooks finished',
  finished: 'finished',
  'timed out': 'deadline exceeded, closing remaining connections',
};

/** Returns one line for the operator: the phase or an event in it, and what is still in progress. */
export function describeProgress(progress: ShutdownProgress, event = PHASES[progress.phase]): string {
  const { reason, elapsedMs, connections, requests, work, hooks } = progress;
  const left = [
    { size: connections, noun: 'connection', more: upgradedOf(progress) },
    { size: requests, noun: 'request', more: ` in flight${longOf(progress)}` },
    { size: work.length, noun: 'background task', more: namesOf(work) },
    { size: hooks.length, noun: 'hook', more: ` left${namesOf(hooks)}` },
  ];
  const parts = left.filter(({ size }) => size > 0).map(({ size, noun, more }) => `${count(size, noun)}${more}`);
  return toOneLine(`shutdown by ${reason} after ${elapsedMs.toFixed(0)} ms: ${event}${parts.length > 0 ? `; ${parts.join(', ')}` : ''}`);
}

function upgradedOf({ upgradedConnections }: ShutdownProgress): string {
  return upgradedConnections === 0 ? '' : ` (${String(upgradedConnections)} upgraded, like WebSockets)`;
}

function longOf({ longRequests }: ShutdownProgress): string {
  if (longRequests === 0) return '';
  return ` (${String(longRequests)} for longer than a minute: if these are event streams, end them on \`lifecycle.shutdownSignal\` or in an \`onClosing()\` hook)`;
}

function count(size: number, noun: string): string {
  return `${String(size)} ${noun}${size === 1 ? '' : 's'}`;
}

const MOST_NAMES = 5;

function namesOf(names: readonly string[]): string {
  if (names.length === 0) return '';
  const more = names.length > MOST_NAMES ? ', …' : '';
  return ` (${names.slice(0, MOST_NAMES).join(', ')}${more})`;
}
