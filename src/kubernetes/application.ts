import type { ProbeDescription } from '../registry/description.js';
import type { ProbeServing } from '../registry/serving.js';

/** What an application tells of itself when it is imported: plain data. */
export interface Application {
  readonly probes: readonly ProbeDescription[];
  readonly serving: ProbeServing;
}
