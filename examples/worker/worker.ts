// A worker without HTTP. It takes jobs from a queue on Redis, and the exec probes of its pod ask it by a socket, or read its heartbeat.
import { setTimeout as pause } from 'node:timers/promises';
import { Worker } from 'bullmq';
import { shutdown } from './app.js';
import { redis } from './probes.js';

const worker = new Worker<{ ms: number }>(
  'jobs',
  async ({ name, data }) => {
    if (name === 'mail') return pause(data.ms);
    // A report is made in one go: nothing else is done meanwhile, and the probes see it.
    const endsAt = performance.now() + data.ms;
    while (performance.now() < endsAt);
  },
  { connection: redis },
);
worker.on('completed', ({ name }) => console.log(`${name} is done`));
worker.on('error', () => {}); // said by the probe

shutdown.onClosing('worker', () => worker.close()); // takes no more jobs, and ends the one in hand
console.log('waiting for jobs');
