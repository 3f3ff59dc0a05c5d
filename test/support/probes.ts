import { LivenessProbe, ReadinessProbe, type ProbeLogger } from 'koa-probes';

@ReadinessProbe()
export class PassingProbe {
  async check() {}
}

@ReadinessProbe()
export class ThrowingProbe {
  check() {
    throw new Error('secret: postgres://admin:hunter2@db');
  }
}

@LivenessProbe()
@ReadinessProbe({ timeoutMs: 300 })
export class TwoKindsProbe {
  check() {}
}

@ReadinessProbe()
export class SlowConstructorProbe {
  constructor() {
    const endsAt = performance.now() + 100;
    while (performance.now() < endsAt);
  }
  check() {}
}

/** Keeps its lines. */
export class MemoryLogger implements ProbeLogger {
  readonly lines: string[] = [];
  info(message: string) {
    this.lines.push(`info ${message}`);
  }
  warn(message: string) {
    this.lines.push(`warn ${message}`);
  }
  error(message: string) {
    this.lines.push(`error ${message}`);
  }
}

/** A check that is settled from outside. */
export class ControlledCheck {
  runs = 0;
  #settle: { resolve: (value?: unknown) => void; reject: (error: unknown) => void }[] = [];
  readonly check = () => {
    this.runs += 1;
    return new Promise<unknown>((resolve, reject) => this.#settle.push({ resolve, reject }));
  };
  resolve(value?: unknown) {
    for (const { resolve } of this.#settle.splice(0)) resolve(value);
  }
  reject(error: unknown) {
    for (const { reject } of this.#settle.splice(0)) reject(error);
  }
}
