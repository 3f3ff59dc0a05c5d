import { multiInject } from 'inversify';
import { ReadinessProbe } from '../../discovery/decorators.js';
import { ChecksOutside, noteOutside } from '../../run/outside.js';
import type { Probe, ProbeContext } from '../../probe.js';
import { askTarget } from './check-http.js';
import { resolveHttpTarget, type HttpTarget, type ResolvedHttpTarget } from './target.js';
import { checkTargets, requireTargets } from '../shared/targets.js';
import type { TargetToken } from '../shared/target-token.js';

export { checkHttp } from './check-http.js';
export type { HttpTarget } from './target.js';

/** Identifier for the services that `HttpProbe` checks. Bind each service: `container.bind(HTTP_TARGET).toConstantValue({ url: 'http://search:9200/' })`. */
export const HTTP_TARGET: TargetToken<HttpTarget> = Symbol.for('koa-probes.HTTP_TARGET');

/** A readiness probe. It passes if every service that is bound to `HTTP_TARGET` answers with its expected status. */
@ChecksOutside('another service')
@ReadinessProbe({ name: 'http' })
export class HttpProbe implements Probe {
  readonly #targets: readonly ResolvedHttpTarget[];

  constructor(@multiInject(HTTP_TARGET, { chained: true }) targets: readonly HttpTarget[]) {
    requireTargets('HttpProbe', targets, 'HTTP_TARGET', "{ url: 'http://search:9200/' }");
    this.#targets = targets.map(resolveHttpTarget);
  }

  async check(context: ProbeContext): Promise<void> {
    noteOutside(context, 'another service');
    await checkTargets(this.#targets, context, askTarget);
  }
}
