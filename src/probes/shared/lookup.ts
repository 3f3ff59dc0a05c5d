import { promises, type LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { SingleFlight } from './single-flight.js';

/** Lookups in flight in this process. If a check is aborted, its lookup continues, and the next check joins it. */
const lookups = new SingleFlight<string, LookupAddress | LookupAddress[]>();

/** The lookup of `node:dns`, at most one at a time for each name. A lookup cannot be cancelled, and it can take many seconds if the resolver hangs. */
export const lookupOnce: LookupFunction = (...request) => void answer(...request);

async function answer(...[hostname, options, callback]: Parameters<LookupFunction>): Promise<void> {
  let found: LookupAddress | LookupAddress[];
  try {
    found = await lookups.joinOrRepeat(JSON.stringify([hostname, options]), () => promises.lookup(hostname, options));
  } catch (error) {
    callback(error as NodeJS.ErrnoException, '');
    return;
  }
  if (Array.isArray(found)) callback(null, found);
  else callback(null, found.address, found.family);
}
