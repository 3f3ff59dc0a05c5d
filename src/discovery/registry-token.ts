/** A second identifier of the registry in a container. It is a registered symbol, so that a second installed copy of the package finds it too. */
export const REGISTRY_TOKEN = Symbol.for('koa-probes.ProbeRegistry');
