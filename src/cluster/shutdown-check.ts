import type { ProbeRegistry } from '../registry/registry.js';
import type { WorkerReport } from './messages.js';

/** Warns once of a shutdown that would end workers in the middle of their requests. Whoever sets it up may do so after the workers are started. */
export class ShutdownCheck {
  #isDone = false;

  constructor(private readonly probes: ProbeRegistry) {}

  look(reports: readonly WorkerReport[]): void {
    const started = reports.filter(({ hasStarted }) => hasStarted);
    if (this.#isDone || started.length === 0) return;
    this.#isDone = true;
    const problem = this.#findProblem(started);
    if (problem !== undefined) this.probes.logger.warn(problem);
  }

  #findProblem(reports: readonly WorkerReport[]): string | undefined {
    const own = this.probes.serving.shutdowns.map(({ here }) => here.timeoutMs);
    if (own.length === 0) {
      return 'the primary does not call gracefulShutdown(): a signal ends it at once, and its workers in the middle of their requests. Call gracefulShutdown([], probes) with what clusterProbes() returns.';
    }
    const times = reports.map(({ shutdownMs }) => shutdownMs).filter((time) => time !== undefined);
    if (times.length < reports.length) {
      return 'a worker does not call gracefulShutdown(): a signal ends it in the middle of its requests. Call gracefulShutdown(server, probes) in the worker.';
    }
    const [primaryMs, workerMs] = [Math.max(...own), Math.max(...times)];
    if (workerMs < primaryMs) return undefined;
    return `the shutdown of a worker may take ${String(workerMs)} ms, but the primary ends its workers ${String(primaryMs)} ms after the signal. Give gracefulShutdown([], probes) in the primary a longer \`timeoutMs\`.`;
  }
}
