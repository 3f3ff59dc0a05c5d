// Node's own behaviour is back.
import { gracefulShutdown } from 'koa-probes';
import { announce, startApplication } from './application.js';

const { server, probes } = await startApplication();
const before = JSON.stringify([process.eventNames(), server.eventNames()].map(String));
const shutdown = gracefulShutdown(server, probes, { drainDelayMs: 0, uncaughtErrors: true });
shutdown.uninstall();
shutdown.uninstall();
announce(server);
console.log(before === JSON.stringify([process.eventNames(), server.eventNames()].map(String)) ? 'nothing is left' : 'something is left');
