/**
 * A pod: `node server.js <subject> <delayMs>` serves and says on which port.
 * It has no channel to its parent, which would keep it alive.
 */
import { once } from 'node:events';
import { createApp } from './app.js';
import { subjects } from './subjects.js';

/** 800 clients connect at once. */
const BACKLOG = 2_048;

const [subject, delayMs] = process.argv.slice(2);
const server = createApp().listen({ port: 0, host: '127.0.0.1', backlog: BACKLOG });
await once(server, 'listening');
await subjects[subject](server, Number(delayMs));
console.log(server.address().port);
