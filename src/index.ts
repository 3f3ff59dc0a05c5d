// Decorate
export { LivenessProbe, ReadinessProbe, StartupProbe, type ProbeDecorator } from './discovery/decorators.js';
export { PROBE_KINDS, type Probe, type ProbeClass, type ProbeContext, type ProbeKind, type ProbeOptions } from './probe.js';
export { ConfigurationError, Degraded, NotReady, ProbeTimeoutError, type NotReadyOptions } from './errors.js';

// Discover and register
export { discoverProbes, type DiscoveryOptions } from './discovery/discover-probes.js';
export type { ProbeContainer } from './discovery/container.js';
export type { ProbeDefinition } from './registry/definition.js';
export type { ProbeDescription, SettingSource } from './registry/description.js';
export { ProbeRegistry, type ProbeStatus, type RegistryOptions, type RunOptions } from './registry/registry.js';
export type { EventLoopBlock, ProbeChange, ProbeEvents } from './registry/events.js';
export { Lifecycle, type LifecycleState } from './lifecycle/lifecycle.js';
export type { ProbeLogger } from './logger.js';

// Observe
export type { ProbeMessages } from './registry/messages.js';
export type { ProbeAnswered } from './registry/observation.js';
export type { ProbeRun, RunOutcome } from './run/observers.js';

// Describe
export type {
  HeartbeatAnswerer,
  InstalledShutdown,
  MiddlewareAnswerer,
  ProbeAnswerer,
  ProbeServing,
  RouterAnswerer,
  ServedPaths,
  ServedServer,
  ServerAnswerer,
  ShutdownTimes,
  ViewAnswerer,
} from './registry/serving.js';

// Report
export type { ProbeFailure } from './report/failure.js';
export type { ProbeData, ProbeReport, ProbeResult } from './report/report.js';

// Answer
export { probeMiddleware, type ProbeMiddlewareOptions } from './koa/probe-middleware.js';
export { probeServer, type ProbeServerOptions, type RequestHandler } from './http/probe-server.js';
export type { ThreadedProbeServer } from './http/threaded-server.js';
export { probeHeartbeat, type ProbeHeartbeat, type ProbeHeartbeatOptions } from './heartbeat/probe-heartbeat.js';
export type { BlockOptions } from './thread/block-options.js';
export type { AnswerOptions, RenderedBody } from './http/answer-options.js';
export type { EndpointOptions } from './http/endpoint.js';
export type { ServiceInfo } from './report/json.js';
export { isProbeRequest, type ProbeRequestOptions, type RequestLine } from './http/probe-request.js';
export type { ProbeFormat } from './http/format.js';
export type { PathOptions } from './http/paths.js';

// Shut down
export { gracefulShutdown, type GracefulShutdown } from './shutdown/graceful-shutdown.js';
export type { ShutdownOptions } from './shutdown/options.js';
export type { RepeatedSignalAction } from './shutdown/heard-signals.js';
export type { ShutdownHook } from './shutdown/sequence.js';
export type { ShutdownProgress } from './lifecycle/lifecycle.js';
