import type { ShutdownProgress } from '../lifecycle/lifecycle.js';
import type { ProbeRun } from '../run/observers.js';
import type { ProbeAnswered } from './observation.js';
import type { EventLoopBlock, ProbeChange, ProbeRegistry } from './registry.js';

interface OfRegistry {
  /** Whose message it is: a process may have several registries. */
  readonly registry: ProbeRegistry;
}

/** The messages of the channels of `node:diagnostics_channel`, by name. `koa-probes:run` is a TracingChannel, all others are plain channels. */
export interface ProbeMessages {
  'koa-probes:change': ProbeChange & OfRegistry;
  'koa-probes:block': EventLoopBlock & OfRegistry;
  'koa-probes:shutdown': ShutdownProgress & OfRegistry;
  'koa-probes:answer': ProbeAnswered & OfRegistry;
  'koa-probes:run': ProbeRun & OfRegistry;
}
