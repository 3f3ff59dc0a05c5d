// What the container of the worker starts.
import { setInterval } from 'node:timers/promises';
import { noteJob, probes } from './worker-app.js';

console.log('working');
const { shutdownSignal } = probes.lifecycle;
try {
  for await (const _ of setInterval(1_000, undefined, { signal: shutdownSignal })) noteJob(); // stands for one job
} catch (error) {
  if (!shutdownSignal.aborted) throw error; // it takes no more jobs
}
