// Less time than a request takes.
import { gracefulShutdown } from 'koa-probes';
import { announce, startApplication } from './application.js';

const { server, probes } = await startApplication();
gracefulShutdown(server, probes, { drainDelayMs: 0, timeoutMs: 800 });
announce(server);
