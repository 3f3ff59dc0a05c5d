import FakeTimers from '@sinonjs/fake-timers';
import { ProbeRegistry, type ProbeOptions } from 'koa-probes';

/** 20 pods ask one database whether they are ready, each pod is asked by its kubelet, and now and then the database is down. */
export interface Scene {
  /** Of the readiness probe on the database. */
  readonly options: Omit<ProbeOptions, 'name'>;
  readonly periodSeconds: number;
  readonly outages: readonly Span[];
  readonly minutes: number;
  /**
   * What a check meets in an outage. `rejects` (the default): it fails at once, as with a refused connection. Then every check that begins in the outage fails, which is the worst case.
   * `hangs`: it answers only when the database is back. One that begins less than `timeoutMs` before that passes, so an outage looks that much shorter.
   */
  readonly outage?: 'rejects' | 'hangs';
  /** Something else asks each pod for its readiness at this interval: a load balancer, a monitor. */
  readonly otherAskerMs?: number;
}

/** From and to, in milliseconds; the end is not part of it. */
type Span = readonly [from: number, to: number];

/** What the outages come to. Pod-seconds are those of an average minute, of which 20 pods have 1,200. */
export interface Loss {
  readonly podSecondsOut: number;
  readonly podSecondsOutWhileUp: number;
  /** The longest time without any pod in rotation. */
  readonly longestAllOutSeconds: number;
  /** A pod got traffic although the database was down: the price of tolerance. */
  readonly podSecondsServedWhileDown: number;
  /** Of all pods together, against the database. */
  readonly runsPerMinute: number;
  /** From the begin of the last outage to the moment when no pod was in rotation; `Infinity` where that never came. */
  readonly allOutAfterSeconds: number;
}

/** The losses under kubelets with these `failureThreshold`s: the same answers serve both, for a kubelet's patience changes nothing in the pod. */
export interface Losses {
  readonly kubelet1: Loss;
  readonly kubelet3: Loss;
}

const PODS = 20;
/** The database is up in it, so that every pod has been ready before the first outage. */
const WARM_UP_MS = 60_000;
const KUBELET_TIMEOUT_MS = 1_000;
/** The kubelet's ticks are exact. The request, over a new connection, comes in up to this much later. */
const LATENCY_MS = 20;

export async function simulate(scene: Scene): Promise<Losses> {
  const endsAt = WARM_UP_MS + scene.minutes * 60_000;
  const random = makeRandom(1);
  const clock = FakeTimers.install({
    now: 0,
    toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate', 'performance', 'Date'],
  });
  const database = new Database(scene);
  const pods = Array.from({ length: PODS }, () => new Pod(scene, database, random));
  try {
    // Not `tickAsync`, which waits a real millisecond a timer.
    while (performance.now() < endsAt) {
      clock.next();
      await microtasksAreDone();
    }
    const lossOf = (failureThreshold: number): Loss => {
      const outs = pods.map((pod) => pod.outsAt(failureThreshold, endsAt));
      return { ...measure(outs, scene.outages, endsAt), runsPerMinute: (database.runs * 60_000) / (endsAt - WARM_UP_MS) };
    };
    return { kubelet1: lossOf(1), kubelet3: lossOf(3) };
  } finally {
    for (const pod of pods) pod.stop();
    clock.uninstall();
  }
}

/**
 * One outage in each minute, at a random moment of its first half: the kubelets' periods divide the minute, and would else meet it with the same pods for ever.
 * The second half keeps two outages apart.
 */
export function flicker(lengthMs: number, minutes: number): Span[] {
  const random = makeRandom(2);
  return Array.from({ length: minutes }, (_, minute) => {
    const from = WARM_UP_MS + minute * 60_000 + Math.floor(random() * (30_000 - lengthMs));
    return [from, from + lengthMs];
  });
}

/** The database goes down a while after the warm-up, and stays down. */
export function lastingOutage(): Span[] {
  return [[WARM_UP_MS + 30_000, Infinity]];
}

class Database {
  /** Begun after the warm-up. */
  runs = 0;

  constructor(private readonly scene: Scene) {}

  readonly check = (): Promise<void> => {
    const now = performance.now();
    if (now >= WARM_UP_MS) this.runs += 1;
    const outage = this.scene.outages.find(([from, to]) => from <= now && now < to);
    if (outage === undefined) return Promise.resolve();
    if (this.scene.outage !== 'hangs') return Promise.reject(new Error('connection refused'));
    return new Promise((resolve) => setTimeout(resolve, outage[1] - now));
  };
}

/** A registry as an application has it, and those who ask it, each from a moment of its own on. */
class Pod {
  readonly #registry = new ProbeRegistry({ logger: false });
  readonly #kubelets = new Map([1, 3].map((failureThreshold) => [failureThreshold, new Kubelet(failureThreshold)]));

  constructor(scene: Scene, database: Database, random: () => number) {
    const periodMs = scene.periodSeconds * 1_000;
    const startsAt = Math.floor(random() * 20_000);
    setTimeout(
      () => this.#registry.register({ name: 'database', kinds: ['readiness'], ...scene.options, check: database.check }),
      startsAt,
    );
    const latency = () => Math.floor(random() * LATENCY_MS);
    every(periodMs, startsAt + Math.floor(random() * periodMs), () => void this.#askForKubelets(), latency);
    const { otherAskerMs } = scene;
    if (otherAskerMs === undefined) return;
    every(otherAskerMs, startsAt + Math.floor(random() * otherAskerMs), () => void this.#registry.run('readiness'));
  }

  outsAt(failureThreshold: number, endsAt: number): Span[] {
    return this.#kubelets.get(failureThreshold)?.outs(endsAt) ?? [];
  }

  stop() {
    this.#registry.close();
  }

  async #askForKubelets() {
    const askedAt = performance.now();
    const { status } = await this.#registry.run('readiness');
    const now = performance.now();
    const isSuccess = status !== 'fail' && now - askedAt < KUBELET_TIMEOUT_MS;
    for (const kubelet of this.#kubelets.values()) kubelet.observe(isSuccess, now);
  }
}

/** What a kubelet makes of the answers, with `successThreshold` 1. Its extra probes of a pod that is not ready are left out. */
class Kubelet {
  readonly #outs: Span[] = [];
  #outSince: number | undefined = 0;
  #failuresInARow = 0;

  constructor(private readonly failureThreshold: number) {}

  observe(isSuccess: boolean, at: number) {
    this.#failuresInARow = isSuccess ? 0 : this.#failuresInARow + 1;
    if (isSuccess && this.#outSince !== undefined) {
      this.#outs.push([this.#outSince, at]);
      this.#outSince = undefined;
    }
    if (this.#failuresInARow >= this.failureThreshold) this.#outSince ??= at;
  }

  /** When the pod was out of rotation. */
  outs(endsAt: number): Span[] {
    const outs = this.#outSince === undefined ? this.#outs : [...this.#outs, [this.#outSince, endsAt] as const];
    // A pod that starts is out too, in the warm-up.
    return outs.filter(([, to]) => to > WARM_UP_MS).map(([from, to]) => [Math.max(from, WARM_UP_MS), to]);
  }
}

function measure(outs: readonly Span[][], outages: readonly Span[], endsAt: number): Omit<Loss, 'runsPerMinute'> {
  const downs = outages.map(([from, to]): Span => [Math.max(from, WARM_UP_MS), Math.min(to, endsAt)]);
  const out = sum(outs.flat());
  const outWhileDown = sum(outs.flatMap((one) => intersect(one, downs)));
  const allOut = outs.reduce(intersect);
  const lastOutage = downs.at(-1)?.[0] ?? Infinity;
  const allOutAt = allOut.find(([from]) => from >= lastOutage)?.[0] ?? Infinity;
  const perMinute = (podMs: number) => (podMs * 60) / (endsAt - WARM_UP_MS);
  return {
    podSecondsOut: perMinute(out),
    podSecondsOutWhileUp: perMinute(out - outWhileDown),
    longestAllOutSeconds: Math.max(0, ...allOut.map((span) => sum([span]))) / 1_000,
    podSecondsServedWhileDown: perMinute(PODS * sum(downs) - outWhileDown),
    allOutAfterSeconds: (allOutAt - lastOutage) / 1_000,
  };
}

function sum(spans: readonly Span[]): number {
  return spans.reduce((total, [from, to]) => total + to - from, 0);
}

function intersect(some: readonly Span[], others: readonly Span[]): Span[] {
  return some.flatMap(([from, to]) =>
    others.map(([begin, end]): Span => [Math.max(from, begin), Math.min(to, end)]).filter(([begin, end]) => begin < end),
  );
}

/** As the kubelet's ticker: by the clock, whatever the calls take. */
function every(periodMs: number, firstAt: number, call: () => void, latency = () => 0): void {
  setTimeout(
    () => {
      every(periodMs, firstAt + periodMs, call, latency);
      call();
    },
    firstAt + latency() - performance.now(),
  );
}

/** Node gives the next tick its turn when no microtask is left: whatever the timer set off that waits for no other timer is done. */
function microtasksAreDone(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}

/** Mulberry32: the same numbers on every machine. */
function makeRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d_2b_79_f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
