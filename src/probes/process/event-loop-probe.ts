import { inject, optional, preDestroy } from 'inversify';
import { LivenessProbe } from '../../discovery/decorators.js';
import type { Probe, ProbeContext } from '../../probe.js';
import type { ProbeData } from '../../report/report.js';
import { checkEventLoop, resolveLimits, type EventLoopLimits, type ResolvedLimits } from './check-event-loop.js';
import { EventLoopWindow } from './event-loop-window.js';
import type { TargetToken } from '../shared/target-token.js';

export { checkEventLoop, judgeDelays, type EventLoopLimits } from './check-event-loop.js';
export { EventLoopWindow, type EventLoopWindowOptions } from './event-loop-window.js';

/** Identifier for the limits of `EventLoopProbe`. Bind it to change the defaults: `container.bind(EVENT_LOOP_LIMITS).toConstantValue({ maxDelayMs: 500 })`. */
export const EVENT_LOOP_LIMITS: TargetToken<EventLoopLimits> = Symbol.for('koa-probes.EVENT_LOOP_LIMITS');

/** A liveness probe. It fails if the event loop is delayed too long. It measures from its creation until the container deactivates it. Its data are `p99Ms` and `maxMs`. */
@LivenessProbe({ name: 'event-loop' })
export class EventLoopProbe implements Probe {
  readonly #limits: ResolvedLimits;
  readonly #window: EventLoopWindow;

  constructor(@inject(EVENT_LOOP_LIMITS) @optional() limits: EventLoopLimits = {}) {
    this.#limits = resolveLimits('EVENT_LOOP_LIMITS', limits);
    this.#window = new EventLoopWindow(this.#limits);
  }

  check(context: ProbeContext): Promise<ProbeData> {
    return checkEventLoop(this.#window, context, this.#limits);
  }

  @preDestroy()
  close(): void {
    this.#window.close();
  }
}
