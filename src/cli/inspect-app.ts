import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises';
import type { Application } from '../kubernetes/application.js';
import { beginInspection } from '../registry/inspection.js';
import { holdServers } from './held-servers.js';
import { loadRegistry, type AppRegistry } from './load-app.js';

const LOOK_EVERY_MS = 5;

/** Imports an application and reads its configuration. It runs no probe, no server listens, and no heartbeat is written. */
export async function inspectApp(specifier: string): Promise<Application> {
  beginInspection();
  holdServers();
  const registry = await loadRegistry(specifier);
  await whenSetUp(registry);
  const application = { probes: registry.list(), serving: registry.serving ?? NO_SERVING };
  registry.close();
  return application;
}

/** An older copy of the package does not collect this. */
const NO_SERVING: Application['serving'] = { answerers: [], shutdowns: [] };

/** Waits for the discovery, because the module may not do so itself, and may set up the rest only afterwards. */
async function whenSetUp({ lifecycle }: AppRegistry): Promise<void> {
  while (lifecycle.isBeingStarted) await pause(LOOK_EVERY_MS);
  await turn();
}
