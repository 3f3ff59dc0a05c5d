/** What a worker tells its primary with each beat. Each report says all of it, so that none depends on another. */
export interface WorkerReport {
  /** Why liveness fails; empty: it passes. The public may read it. */
  readonly notLive: readonly string[];
  /** Why readiness fails; empty: it passes; undefined: its probes have not run yet. The public may read it. */
  readonly notReady?: readonly string[] | undefined;
  /** Whether all servers of the worker take connections. */
  readonly isListening: boolean;
  readonly hasStarted: boolean;
  readonly isDraining: boolean;
  /** How long the graceful shutdown of the worker takes at most; undefined: it has none. */
  readonly shutdownMs?: number | undefined;
  /** Memory of the process in bytes. */
  readonly rss: number;
}

/** What a primary tells a worker when it changes. */
export interface ListenOrder {
  /** Whether the servers of the worker are to take connections. */
  readonly mayListen: boolean;
}

/** What a worker has to know of its primary before it says anything. It comes by the environment. */
export interface WorkerSettings {
  readonly beatMs: number;
  readonly intervalMs: number;
}

/** Applications send messages of their own by the same channel. */
const REPORT = 'koa-probes:report';
const ORDER = 'koa-probes:listen';

export function wrapReport(report: WorkerReport): object {
  return { type: REPORT, ...report };
}

export function wrapOrder(order: ListenOrder): object {
  return { type: ORDER, ...order };
}

export function readReport(message: unknown): WorkerReport | undefined {
  return isOfType(message, REPORT) ? (message as WorkerReport) : undefined;
}

export function readOrder(message: unknown): ListenOrder | undefined {
  return isOfType(message, ORDER) ? (message as ListenOrder) : undefined;
}

function isOfType(message: unknown, type: string): boolean {
  return typeof message === 'object' && message !== null && 'type' in message && message.type === type;
}
