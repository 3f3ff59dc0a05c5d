import { channel } from 'node:diagnostics_channel';
import type { ProbeKind } from '../probe.js';
import type { RunObserver } from '../run/observers.js';

/** One answer to a probe over HTTP. */
export interface ProbeAnswered {
  readonly kind: ProbeKind;
  /** The probe that was asked for alone; undefined for the whole kind. */
  readonly probe: string | undefined;
  /** Status code of the answer. 404 for a name that no probe of the kind has. */
  readonly code: number;
}

/** Hears of the runs and the answers of one registry. */
export interface ProbeObserver extends RunObserver {
  onAnswer?(answer: ProbeAnswered): void;
  /** The event loop was blocked for so long. */
  onBlock?(durationMs: number): void;
  /** A probe was taken out. None of its runs is told later. */
  onRemove?(probe: string): void;
}

const channels = {
  change: channel('koa-probes:change'),
  block: channel('koa-probes:block'),
  shutdown: channel('koa-probes:shutdown'),
  answer: channel('koa-probes:answer'),
};

export function hasSubscribers(name: keyof typeof channels): boolean {
  return channels[name].hasSubscribers;
}

/** The message says whose it is: the channels are those of the process. */
export function publish(name: string, registry: object, message: object | undefined): void {
  if (isChannel(name) && hasSubscribers(name)) channels[name].publish({ registry, ...message });
}

function isChannel(name: string): name is keyof typeof channels {
  return name in channels;
}
