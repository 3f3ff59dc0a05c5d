import type { ServerResponse } from 'node:http';

/** What this library has answered, in whichever way. */
const answered = new WeakSet<ServerResponse>();

export function markAsAnswered(response: ServerResponse): void {
  answered.add(response);
}

export function isAnsweredByProbes(response: ServerResponse): boolean {
  return answered.has(response);
}
