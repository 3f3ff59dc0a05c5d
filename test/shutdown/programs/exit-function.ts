// A logger that needs its time to write, which is over only after a minute, or that fails.
import { gracefulShutdown } from 'koa-probes';
import { announce, startApplication } from './application.js';

const { server, probes } = await startApplication();
gracefulShutdown(server, probes, {
  drainDelayMs: 0,
  timeoutMs: 10_000,
  uncaughtErrors: true,
  exit: (code) => {
    console.log(`flushing before exit ${String(code)}`);
    if (process.env['FAIL'] === 'yes') throw new Error('the log is gone');
    setTimeout(() => process.exit(code), 60_000);
  },
});
announce(server);
