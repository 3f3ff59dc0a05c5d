import { channel } from 'node:diagnostics_channel';
import type { ProbeKind } from '../probe.js';
import type { RunObserver } from '../run/observers.js';

/** One HTTP response to a probe request. */
export interface ProbeAnswered {
  /** The requested kind. */
  readonly kind: ProbeKind;
  /** The requested probe, if the request was for a single probe. Undefined if it was for the whole kind. */
  readonly probe: string | undefined;
  /** Status code of the response. It is 404 if no probe of the kind has the requested name. */
  readonly code: number;
}

/** Is told about the runs and the HTTP responses of one registry. */
export interface ProbeObserver extends RunObserver {
  onAnswer?(answer: ProbeAnswered): void;
  /** The event loop was blocked for this many milliseconds. */
  onBlock?(durationMs: number): void;
  /** Called when a probe was removed. None of its runs is reported later. */
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

/** Publishes a message with its registry, because the channels are shared by the whole process. */
export function publish(name: string, registry: object, message: object | undefined): void {
  if (isChannel(name) && hasSubscribers(name)) channels[name].publish({ registry, ...message });
}

function isChannel(name: string): name is keyof typeof channels {
  return name in channels;
}
