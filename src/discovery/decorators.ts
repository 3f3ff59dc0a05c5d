import { ConfigurationError } from '../errors.js';
import { readProbeMetadata, writeProbeMetadata } from './metadata.js';
import { overlayOptions, type ProbeClass, type ProbeKind, type ProbeOptions } from '../probe.js';
import { checkObject, show } from '../validation.js';

/** Works as a legacy decorator and as a standard decorator. The second argument exists in standard mode only. */
export type ProbeDecorator = (probeClass: ProbeClass, context?: ClassDecoratorContext) => void;

/**
 * Makes a class a liveness probe. Kubernetes restarts the container if the probe fails.
 * Do not check anything outside the process here: an outage of a database would restart every pod.
 */
export function LivenessProbe(options: ProbeOptions = {}): ProbeDecorator {
  return decorate('liveness', options);
}

/** Makes a class a readiness probe. The pod receives no requests while the probe fails. */
export function ReadinessProbe(options: ProbeOptions = {}): ProbeDecorator {
  return decorate('readiness', options);
}

/** Makes a class a startup probe. Until it has passed once, the pod receives no requests, and Kubernetes does not run the liveness probe. */
export function StartupProbe(options: ProbeOptions = {}): ProbeDecorator {
  return decorate('startup', options);
}

const DECORATORS: Readonly<Record<ProbeKind, string>> = { liveness: 'LivenessProbe', readiness: 'ReadinessProbe', startup: 'StartupProbe' };

function decorate(kind: ProbeKind, options: ProbeOptions): ProbeDecorator {
  if (typeof options === 'function') {
    const { name } = options as ProbeClass;
    throw new ConfigurationError(
      `The decorator of the ${kind} probe ${name} has no parentheses, so it decorates nothing. Write \`@${DECORATORS[kind]}()\`.`,
    );
  }
  checkObject(`the options of a ${kind} probe`, options);
  return (probeClass) => {
    if (typeof probeClass !== 'function') {
      throw new ConfigurationError(
        `A ${kind} probe must be a class, but the decorator is applied to ${show(probeClass)}. Apply it to a class that has a \`check\` method.`,
      );
    }
    const earlier = readProbeMetadata(probeClass);
    // Decorators are applied from the bottom up. The kind of the topmost one comes first.
    writeProbeMetadata(probeClass, {
      kinds: [...new Set([kind, ...(earlier?.kinds ?? [])])],
      options: mergeOptions(probeClass.name, options, earlier?.options ?? {}),
      decoratedAt: earlier?.decoratedAt ?? new Error(`${probeClass.name} was decorated`),
    });
  };
}

/** All kinds of one class share one run, so they must agree on every option. */
function mergeOptions(className: string, options: ProbeOptions, earlier: ProbeOptions): ProbeOptions {
  for (const [option, value] of Object.entries(options)) {
    const before: unknown = earlier[option as keyof ProbeOptions];
    if (before === undefined || value === undefined || before === value) continue;
    throw new ConfigurationError(
      `The decorators of ${className} set \`${option}\` to two values, ${show(value)} and ${show(before)}. The kinds of one class share one run: set the option once, or write two classes.`,
    );
  }
  return overlayOptions(earlier, options);
}
