/** A process whose probes a thread answers, or not. It is told by messages what to do. */
import { ProbeRegistry, probeServer } from '../dist/index.js';

const CHECKS = 10;

const probes = new ProbeRegistry({ logger: false });
for (let number = 0; number < CHECKS; number += 1) {
  probes.register({ name: `check-${number}`, kinds: ['readiness'], check: () => ({ number }) });
}

const commands = {
  async open({ thread }) {
    const [cpu, rss] = [process.cpuUsage(), measureMemory()];
    const startedAt = performance.now();
    const server = await probeServer(probes, { port: 0, host: '127.0.0.1', thread });
    const startMs = performance.now() - startedAt;
    const { user, system } = process.cpuUsage(cpu);
    return { port: server.address().port, startMs, startCpuMs: (user + system) / 1_000, rssBytes: measureMemory() - rss };
  },
  /** The processor's time of the whole process while nobody asks. */
  async idle({ ms }) {
    const cpu = process.cpuUsage();
    await new Promise((resolve) => setTimeout(resolve, ms));
    const { user, system } = process.cpuUsage(cpu);
    return { percent: (user + system) / 10 / ms, rssBytes: measureMemory() };
  },
  block({ ms }) {
    const endsAt = performance.now() + ms;
    while (performance.now() < endsAt);
  },
};

function measureMemory() {
  globalThis.gc?.();
  return process.memoryUsage.rss();
}

process.on('message', ({ command, ...options }) => {
  void Promise.resolve(commands[command](options)).then((answer) => process.send(answer ?? {}));
});
