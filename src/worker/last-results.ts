import type { ProbeKind } from '../probe.js';
import type { ProbeResult } from '../report/report.js';

interface Known {
  readonly results: Map<string, ProbeResult>;
  readonly deadlineMs: number;
}

/** The last results that the main thread has told of, by kind and in their order. */
export class LastResults {
  readonly #byKind: Record<ProbeKind, Known> = { liveness: NONE(), readiness: NONE(), startup: NONE() };

  replace(kind: ProbeKind, results: readonly ProbeResult[], deadlineMs: number): void {
    this.#byKind[kind] = { results: new Map(results.map((result) => [result.name, result])), deadlineMs };
  }

  put(kinds: readonly ProbeKind[], result: ProbeResult): void {
    for (const kind of kinds) this.#byKind[kind].results.set(result.name, result);
  }

  has(kind: ProbeKind, name: string): boolean {
    return this.#byKind[kind].results.has(name);
  }

  of(kind: ProbeKind): ProbeResult[] {
    return [...this.#byKind[kind].results.values()];
  }

  deadlineOf(kind: ProbeKind): number {
    return this.#byKind[kind].deadlineMs;
  }
}

const NONE = (): Known => ({ results: new Map(), deadlineMs: 0 });
