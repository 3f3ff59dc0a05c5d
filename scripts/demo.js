// Starts the quickstart on its embedded database, shows what it answers, and stays until Ctrl-C.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { build, environment, installPackages, root } from './setup.js';

const port = Number(process.env.PORT ?? 3000);
if (!Number.isInteger(port) || port < 1 || port > 65_535) {
  console.error(`PORT is "${process.env.PORT}", which is no port from 1 to 65535. Take another one: PORT=3001 npm run demo`);
  process.exit(1);
}
const base = `http://localhost:${port}`;
const requests = [
  { path: '/readyz?verbose' },
  { path: '/livez' },
  { path: '/readyz/database' },
  { path: '/readyz', accept: 'application/json' },
  { path: '/toggle', method: 'POST' },
  { path: '/readyz' },
  { path: '/toggle', method: 'POST' },
];

installPackages();
build();
const server = spawn(process.execPath, [join(root, 'build/examples/quickstart/server.js')], {
  cwd: root,
  env: { ...environment(), PORT: String(port) },
  stdio: ['inherit', 'pipe', 'pipe'],
  // In a group of its own: Ctrl-C would reach it twice, from the terminal and from here, and the second signal ends it at once.
  detached: true,
});
let output = '';
server.stderr.on('data', (chunk) => {
  output += chunk;
  if (isListening) process.stderr.write(chunk);
});
let isListening = false;
server.once('exit', (code) => {
  if (!isListening)
    console.error(output.includes('EADDRINUSE') ? `Port ${port} is taken. Take another one: PORT=3001 npm run demo` : output);
  process.exit(isListening ? 0 : (code ?? 1));
});
// However this ends: nobody is left who could stop it.
process.on('exit', () => server.kill());
let isAskedToStop = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    if (!isAskedToStop) server.kill(signal);
    isAskedToStop = true;
  });
}

// Its own word, and not an answer on the port: that could be another application.
await new Promise((resolve) => {
  server.stdout.on('data', (chunk) => String(chunk).includes('listening on') && resolve());
});
isListening = true;

for (const { path, method = 'GET', accept } of requests) {
  const response = await fetch(base + path, { method, headers: accept ? { accept } : {} });
  const flags = `${method === 'GET' ? '' : ` -X ${method}`}${accept ? ` -H 'Accept: ${accept}'` : ''}`;
  console.log(`\n$ curl -i${flags} '${base}${path}'`);
  console.log(`HTTP/1.1 ${response.status} ${response.statusText}`);
  console.log([...response.headers].map(([name, value]) => `${name}: ${value}`).join('\n'));
  console.log(`\n${await response.text()}`);
}
console.log(`\nThe status page: ${base}/probes\nIt stays on ${base} until Ctrl-C: try these yourself.`);
