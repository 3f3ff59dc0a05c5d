import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises';
import type { Application } from '../kubernetes/application.js';
import { beginInspection } from '../registry/inspection.js';
import { holdServers } from './held-servers.js';
import { loadRegistry, type AppRegistry } from './load-app.js';

const LOOK_EVERY_MS = 5;

/** Imports an application, and reads how it is set up. No probe is run, no server listens, and no heartbeat is written. */
export async function inspectApp(specifier: string): Promise<Application> {
  beginInspection();
  holdServers();
  const registry = await loadRegistry(specifier);
  await whenSetUp(registry);
  const application = { probes: registry.list(), serving: registry.serving ?? NO_SERVING };
  registry.close();
  return application;
}

/** An older copy of the package notes nothing. */
const NO_SERVING: Application['serving'] = { answerers: [], shutdowns: [] };

/** The module may not wait for its own discovery, and sets the rest up when that is done. */
async function whenSetUp({ lifecycle }: AppRegistry): Promise<void> {
  while (lifecycle.isBeingStarted) await pause(LOOK_EVERY_MS);
  await turn();
}
