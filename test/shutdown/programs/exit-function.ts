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
    const failure = new Error('the log is gone');
    if (process.env['FAIL'] === 'throws') throw failure;
    if (process.env['FAIL'] === 'rejects') return Promise.reject(failure);
    return setTimeout(() => process.exit(code), 60_000);
  },
});
announce(server);
