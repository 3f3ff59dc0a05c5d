import { accepts, freePort, start } from './processes.js';
import { Service } from './services.js';

/** An HTTP server in a process of its own, that answers 200 to everything: it can be stopped and frozen. `backlog` connections wait for it at most. */
export async function startHttpServer(backlog = 511): Promise<Service> {
  const port = await freePort();
  const program = `require('node:http').createServer((request, response) => response.end('ok')).listen(${String(port)}, '127.0.0.1', ${String(backlog)})`;
  const begin = () => start(process.execPath, ['-e', program], { env: { ...process.env, NODE_EXTRA_CA_CERTS: undefined } });
  return new Service(port, begin, () => accepts(port)).start();
}
