// A sidecar, like a mesh's proxy, that has to be told that the application has ended.
import { gracefulShutdown } from 'koa-probes';
import { announce, startApplication } from './application.js';

const { server, probes } = await startApplication();
gracefulShutdown(server, probes, {
  drainDelayMs: 0,
  timeoutMs: 10_000,
  exit: async (code) => {
    await fetch(`${process.env['SIDECAR'] ?? ''}/quitquitquit`, { method: 'POST', signal: AbortSignal.timeout(2_000) });
    process.exit(code);
  },
});
setInterval(() => {}, 1_000);
announce(server);
