/** OpenTelemetry attributes. An attribute of the semantic conventions has the name that they define. */
export const PROBE_NAME = 'koa_probes.probe.name';
export const PROBE_KIND = 'koa_probes.probe.kind';
export const PROBE_STATE = 'koa_probes.probe.state';
export const RUN_OUTCOME = 'koa_probes.run.outcome';
export const LIFECYCLE_STATE = 'koa_probes.lifecycle.state';
export const ERROR_TYPE = 'error.type';
