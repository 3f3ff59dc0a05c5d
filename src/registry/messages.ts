import type { ShutdownProgress } from '../lifecycle/lifecycle.js';
import type { ProbeRun } from '../run/observers.js';
import type { ProbeAnswered } from './observation.js';
import type { EventLoopBlock, ProbeChange } from './events.js';
import type { ProbeRegistry } from './registry.js';

interface OfRegistry {
  /** The registry that the message belongs to. A process may have several registries. */
  readonly registry: ProbeRegistry;
}

/** The messages of the `node:diagnostics_channel` channels, by name. `koa-probes:run` is a TracingChannel. All others are plain channels. */
export interface ProbeMessages {
  'koa-probes:change': ProbeChange & OfRegistry;
  'koa-probes:block': EventLoopBlock & OfRegistry;
  'koa-probes:shutdown': ShutdownProgress & OfRegistry;
  'koa-probes:answer': ProbeAnswered & OfRegistry;
  'koa-probes:run': ProbeRun & OfRegistry;
}
