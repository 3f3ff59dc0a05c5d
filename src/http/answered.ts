import { channel } from 'node:diagnostics_channel';
import type { ServerResponse } from 'node:http';

/** Node tells each response here that was sent to its end. */
export const RESPONSES = 'http.server.response.finish';

const responses = channel(RESPONSES);

/** What this library has answered, in whichever way. */
const answered = new WeakSet<ServerResponse>();

/** Nobody asks for it while nobody watches the responses, and it costs a passing answer 2 %. */
export function markAsAnswered(response: ServerResponse): void {
  if (responses.hasSubscribers) answered.add(response);
}

export function isAnsweredByProbes(response: ServerResponse): boolean {
  return answered.has(response);
}
