import { ConfigurationError } from '../errors.js';
import { readProbeMetadata, writeProbeMetadata } from './metadata.js';
import { overlayOptions, type ProbeClass, type ProbeKind, type ProbeOptions } from '../probe.js';
import { checkObject, show } from '../validation.js';

/** Works as a legacy and as a standard decorator: the second argument is only there in standard mode. */
export type ProbeDecorator = (probeClass: ProbeClass, context?: ClassDecoratorContext) => void;

/**
 * Makes a class a liveness probe: while it fails, Kubernetes restarts the container.
 * Check nothing outside the process here, or an outage of a database restarts every pod.
 */
export function LivenessProbe(options: ProbeOptions = {}): ProbeDecorator {
  return decorate('liveness', options);
}

/** Makes a class a readiness probe: while it fails, the pod gets no requests. */
export function ReadinessProbe(options: ProbeOptions = {}): ProbeDecorator {
  return decorate('readiness', options);
}

/** Makes a class a startup probe: until it has passed once, the pod gets no requests and no liveness probe. */
export function StartupProbe(options: ProbeOptions = {}): ProbeDecorator {
  return decorate('startup', options);
}

const DECORATORS: Readonly<Record<ProbeKind, string>> = { liveness: 'LivenessProbe', readiness: 'ReadinessProbe', startup: 'StartupProbe' };

function decorate(kind: ProbeKind, options: ProbeOptions): ProbeDecorator {
  if (typeof options === 'function') {
    const { name } = options as ProbeClass;
    throw new ConfigurationError(
      `The decorator of the ${kind} probe ${name} has no parentheses, and so would decorate nothing. Write \`@${DECORATORS[kind]}()\`.`,
    );
  }
  checkObject(`the options of a ${kind} probe`, options);
  return (probeClass) => {
    if (typeof probeClass !== 'function') {
      throw new ConfigurationError(
        `A ${kind} probe is a class, but the decorator stands on ${show(probeClass)}. Put it in front of a class that has a \`check\` method.`,
      );
    }
    const earlier = readProbeMetadata(probeClass);
    // Decorators are applied from the last to the first: what is written on top comes first.
    writeProbeMetadata(probeClass, {
      kinds: [...new Set([kind, ...(earlier?.kinds ?? [])])],
      options: mergeOptions(probeClass.name, options, earlier?.options ?? {}),
      decoratedAt: earlier?.decoratedAt ?? new Error(`${probeClass.name} was decorated`),
    });
  };
}

/** The kinds of one class share one run, so they cannot differ in an option. */
function mergeOptions(className: string, options: ProbeOptions, earlier: ProbeOptions): ProbeOptions {
  for (const [option, value] of Object.entries(options)) {
    const before: unknown = earlier[option as keyof ProbeOptions];
    if (before === undefined || value === undefined || before === value) continue;
    throw new ConfigurationError(
      `The decorators of ${className} give \`${option}\` twice, as ${show(value)} and as ${show(before)}. Its kinds share one run: give the option once, or write two classes.`,
    );
  }
  return overlayOptions(earlier, options);
}
