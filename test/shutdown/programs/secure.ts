// Servers that speak TLS, each with a slow answer.
import { once } from 'node:events';
import * as http2 from 'node:http2';
import * as https from 'node:https';
import { setTimeout as pause } from 'node:timers/promises';
import { gracefulShutdown, ProbeRegistry } from 'koa-probes';
import { announce } from './application.js';

const certificate = { cert: process.env['CERT'], key: process.env['KEY'] };
const answer = (_request: unknown, response: { end(body: string): unknown }): void => {
  console.log('slow request begun');
  void pause(500).then(() => response.end('done'));
};
const server =
  process.env['PROTOCOL'] === 'https' ? https.createServer(certificate, answer) : http2.createSecureServer(certificate, answer);
gracefulShutdown(server, new ProbeRegistry(), { drainDelayMs: 0, timeoutMs: 10_000 });
server.listen(0, '127.0.0.1');
await once(server, 'listening');
announce(server);
