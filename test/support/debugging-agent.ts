// Loaded into a process by `--import`, as an agent that looks into exceptions is.
import { Session } from 'node:inspector';
import { threadId } from 'node:worker_threads';

const session = new Session();
session.connect();
session.on('Debugger.paused', () => {
  console.log('agent: paused');
  session.post('Debugger.resume');
});
session.post('Debugger.enable');
session.post('Debugger.setPauseOnExceptions', { state: 'uncaught' });
console.log(`agent: watching thread ${String(threadId)}`);
