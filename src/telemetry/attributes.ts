/** Attributes of OpenTelemetry. Those that the semantic conventions have are under their own names. */
export const PROBE_NAME = 'koa_probes.probe.name';
export const PROBE_KIND = 'koa_probes.probe.kind';
export const PROBE_STATE = 'koa_probes.probe.state';
export const RUN_OUTCOME = 'koa_probes.run.outcome';
export const LIFECYCLE_STATE = 'koa_probes.lifecycle.state';
export const ERROR_TYPE = 'error.type';
