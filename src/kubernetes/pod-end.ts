import type { ProbeServing, ShutdownTimes } from '../registry/serving.js';
import { DEFAULT_GRACE_SECONDS, neededGraceSeconds, showTime, shutdownTimesInPod, SPARE_GRACE_SECONDS } from './budget.js';
import { inOneLine, noted, type Noted } from './noted.js';

/** As long as `gracefulShutdown()` drains by default. */
const PRE_STOP_SECONDS = 5;

/** How a pod ends, as its spec has it. */
export interface PodEnd {
  readonly terminationGracePeriodSeconds: Noted;
  /** Undefined: the application drains by itself, or gets no requests. */
  readonly lifecycle: object | undefined;
  /** Undefined: the application knows its grace period, or does not ask for it. */
  readonly environment: Noted | undefined;
}

/** The grace period covers the `preStop` hook and the longest shutdown. */
export function describePodEnd(serving: ProbeServing, isPatch: boolean): PodEnd {
  const times = shutdownTimesInPod(serving.shutdowns, undefined);
  const preStopSeconds = getsRequests(serving) && !times?.drainDelayMs ? PRE_STOP_SECONDS : 0;
  const lifecycle = preStopSeconds === 0 ? undefined : delaySignal(preStopSeconds, times, isPatch);
  if (times === undefined) {
    const note =
      'the default; there is no gracefulShutdown(), so that requests in flight are lost, and Node as PID 1 does not end on SIGTERM';
    return { terminationGracePeriodSeconds: noted(DEFAULT_GRACE_SECONDS, note), lifecycle, environment: undefined };
  }
  const told = serving.shutdowns.map(({ given }) => given.terminationGracePeriodSeconds);
  const toldSeconds = told.filter((seconds) => seconds !== undefined);
  const neededSeconds = neededGraceSeconds(times, preStopSeconds);
  const sensibleSeconds = Math.max(DEFAULT_GRACE_SECONDS, neededSeconds + SPARE_GRACE_SECONDS);
  // What the code says is taken, unless the shutdown would not fit.
  const codedSeconds = toldSeconds.length === 0 ? 0 : Math.max(...toldSeconds) + preStopSeconds;
  const graceSeconds = codedSeconds > neededSeconds ? codedSeconds : sensibleSeconds;
  return {
    terminationGracePeriodSeconds: noted(graceSeconds, explainGrace(graceSeconds, preStopSeconds, times)),
    lifecycle,
    environment: toldSeconds.length === told.length ? undefined : tellGrace(graceSeconds, preStopSeconds),
  };
}

function getsRequests({ answerers, shutdowns }: ProbeServing): boolean {
  return (
    answerers.some(({ by }) => by === 'middleware' || by === 'router' || by === 'view') ||
    shutdowns.some(({ servers }) => servers.length > 0)
  );
}

function delaySignal(seconds: number, times: ShutdownTimes | undefined, isPatch: boolean): object {
  const why = times === undefined ? 'there is no gracefulShutdown()' : 'its drainDelayMs is 0';
  const note = `proxies still send requests after the deletion, and the application does not drain: ${why}`;
  const others = isPatch ? { exec: null, httpGet: null } : {};
  return { preStop: noted(inOneLine({ ...others, sleep: { seconds } }), note) };
}

function explainGrace(graceSeconds: number, preStopSeconds: number, { timeoutMs }: ShutdownTimes): string {
  const preStop = preStopSeconds === 0 ? '' : `${String(preStopSeconds)} s for preStop + `;
  const spareMs = (graceSeconds - preStopSeconds) * 1_000 - timeoutMs;
  return `${preStop}${showTime(timeoutMs)} for the shutdown + ${showTime(spareMs)} to spare`;
}

/** No field of a pod hands its grace period to the container. */
function tellGrace(graceSeconds: number, preStopSeconds: number): Noted {
  const seconds = String(graceSeconds - preStopSeconds);
  const note = preStopSeconds === 0 ? 'for gracefulShutdown()' : `for gracefulShutdown(): the grace period without preStop`;
  return noted(inOneLine({ name: 'TERMINATION_GRACE_PERIOD_SECONDS', value: seconds }), note);
}
