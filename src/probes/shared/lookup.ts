import { promises, type LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { SingleFlight } from './single-flight.js';

/** Of the process, as the threads are: a check that is aborted leaves its lookup behind, and the next one joins that. */
const lookups = new SingleFlight<string, LookupAddress | LookupAddress[]>();

/** The lookup of `node:dns`, once at a time for a name: it cannot be cancelled, and a resolver that hangs is waited for for many seconds. */
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
