import { multiInject } from 'inversify';
import { ReadinessProbe } from '../../discovery/decorators.js';
import { ChecksOutside, noteOutside } from '../../run/outside.js';
import type { Probe, ProbeContext } from '../../probe.js';
import { checkTcp, validateTarget, type TcpTarget } from './check-tcp.js';
import { checkTargets, requireTargets } from '../shared/targets.js';
import type { TargetToken } from '../shared/target-token.js';

export { checkTcp, type TcpTarget } from './check-tcp.js';

/** Identifier for the targets that `TcpProbe` checks. Bind each target: `container.bind(TCP_TARGET).toConstantValue({ host: 'mail', port: 25 })`. */
export const TCP_TARGET: TargetToken<TcpTarget> = Symbol.for('koa-probes.TCP_TARGET');

/** A readiness probe. It passes if every target that is bound to `TCP_TARGET` accepts a connection. */
@ChecksOutside('another service')
@ReadinessProbe({ name: 'tcp' })
export class TcpProbe implements Probe {
  readonly #targets: readonly TcpTarget[];

  constructor(@multiInject(TCP_TARGET, { chained: true }) targets: readonly TcpTarget[]) {
    requireTargets('TcpProbe', targets, 'TCP_TARGET', "{ host: 'mail', port: 25 }");
    for (const target of targets) validateTarget(target);
    this.#targets = targets;
  }

  async check(context: ProbeContext): Promise<void> {
    noteOutside(context, 'another service');
    await checkTargets(this.#targets, context, checkTcp);
  }
}
