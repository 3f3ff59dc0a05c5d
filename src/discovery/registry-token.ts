/** What the registry of a container is bound to beside its class: registered, so that a second installed copy of the package finds it too. */
export const REGISTRY_TOKEN = Symbol.for('koa-probes.ProbeRegistry');
