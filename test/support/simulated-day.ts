import FakeTimers from '@sinonjs/fake-timers';
import { NotReady, ProbeRegistry, type ProbeLogger } from 'koa-probes';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** What a simulated day needs. The same seed gives the same day. */
export interface DaySettings {
  /** Made when the clock is already simulated, which begins at midnight UTC. */
  readonly createLogger: () => ProbeLogger;
  readonly periodMs: number;
  readonly seed: number;
}

/**
 * A day of one database: a flicker each hour, an outage from 03:12 to 03:58 with three causes, and from 15:00 to 16:00 every third run or so fails.
 * A request for readiness comes every `periodMs`.
 */
export async function simulateDay({ createLogger, periodMs, seed }: DaySettings): Promise<void> {
  const clock = FakeTimers.install({ now: Date.UTC(2026, 2, 3), toFake: [...FAKED] });
  const startedAt = Date.now();
  const random = randomOf(seed);
  const flickers = Array.from({ length: 24 }, (_, hour) => hour * HOUR + (5 + random() * 3) * MINUTE);
  const registry = new ProbeRegistry({ logger: createLogger() });
  registry.register({
    name: 'database',
    kinds: ['readiness'],
    check: ({ signal }) => {
      const time = Date.now() - startedAt;
      if (time >= at(3, 12) && time < at(3, 20)) throw refused(random);
      if (time >= at(3, 20) && time < at(3, 41)) return silent(signal, random);
      if (time >= at(3, 41) && time < at(3, 58)) throw brief(new Error('password authentication failed for user "shop"'));
      if (time >= at(15) && time < at(16)) return random() < 0.3 ? overloaded(signal, random) : answered(random);
      if (time >= (flickers[0] ?? Infinity)) {
        flickers.shift();
        throw brief(new Error('Connection terminated unexpectedly'));
      }
      return answered(random);
    },
  });
  try {
    setInterval(() => void registry.run('readiness'), periodMs);
    await clock.tickAsync(24 * HOUR);
  } finally {
    registry.close();
    clock.uninstall();
  }
}

/** The first minutes of an application with a startup probe and a slow search, and its end. A request for readiness comes every two seconds. */
export async function simulateLife(createLogger: () => ProbeLogger): Promise<void> {
  const clock = FakeTimers.install({ now: Date.UTC(2026, 2, 3), toFake: [...FAKED] });
  const startedAt = Date.now();
  const registry = new ProbeRegistry({ logger: createLogger() });
  registry.register({
    name: 'schema',
    kinds: ['startup'],
    check: () => {
      if (Date.now() - startedAt < 9_000) throw new NotReady('3 migrations are pending');
    },
  });
  registry.register({
    name: 'search',
    kinds: ['readiness'],
    timeoutMs: 500,
    slowMs: 200,
    check: () => {
      const time = Date.now() - startedAt;
      const durationMs = time > 60_000 && time < 90_000 ? 300 : time >= 90_000 && time < 100_000 ? 1_700 : 20;
      return new Promise((resolve) => setTimeout(resolve, durationMs));
    },
  });
  try {
    setInterval(() => void registry.run('readiness'), 2_000);
    await clock.tickAsync(3 * MINUTE);
    registry.lifecycle.drain();
  } finally {
    registry.close();
    clock.uninstall();
  }
}

export const FAKED = [
  'setTimeout',
  'clearTimeout',
  'setInterval',
  'clearInterval',
  'setImmediate',
  'clearImmediate',
  'performance',
  'Date',
] as const;

const at = (hour: number, minute = 0): number => hour * HOUR + minute * MINUTE;

function answered(random: () => number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 2 + random() * 8));
}

function refused(random: () => number): Error {
  const port = 40_000 + Math.floor(random() * 20_000);
  const cause = brief(new Error(`connect ECONNREFUSED 10.0.3.7:5432 - Local (10.0.7.2:${String(port)})`));
  return brief(new Error('the database refuses connections', { cause }));
}

/** What a check that heeds its signal says at its timeout. */
function silent(signal: AbortSignal, random: () => number): Promise<never> {
  const waitedMs = 799 + Math.floor(random() * 5);
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () =>
      reject(brief(new Error(`connected, but the query has not been answered for ${String(waitedMs)} ms`))),
    );
  });
}

function overloaded(signal: AbortSignal, random: () => number): Promise<never> {
  if (random() < 0.2) return silent(signal, random);
  const inUse = `${String(10)} of 10 connections in use, ${String(Math.floor(random() * 90))} requests wait`;
  return Promise.reject(brief(new Error(`pool exhausted: ${inUse}`)));
}

/** Without its frames, which have the paths of this machine. */
function brief(error: Error): Error {
  error.stack = String(error);
  return error;
}

/** Mulberry32. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d_2b_79_f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
