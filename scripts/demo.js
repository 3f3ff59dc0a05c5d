// Starts the quickstart on its embedded database, shows what it answers, and stays until Ctrl-C.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { environment, installPackages, root, run } from './setup.js';

const port = Number(process.env.PORT ?? 3000);
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
run('tsc', '--build');
const server = spawn(process.execPath, [join(root, 'build/examples/quickstart/server.js')], {
  cwd: root,
  env: { ...environment(), PORT: String(port) },
  stdio: 'inherit',
});
server.once('exit', (code) => process.exit(code ?? 0));
process.on('SIGINT', () => server.kill('SIGINT'));
process.on('SIGTERM', () => server.kill('SIGTERM'));

await untilItAnswers();
for (const { path, method = 'GET', accept } of requests) {
  const response = await fetch(base + path, { method, headers: accept ? { accept } : {} });
  const flags = `${method === 'GET' ? '' : ` -X ${method}`}${accept ? ` -H 'Accept: ${accept}'` : ''}`;
  console.log(`\n$ curl -i${flags} '${base}${path}'`);
  console.log(`HTTP/1.1 ${response.status} ${response.statusText}\n${await response.text()}`);
}
console.log(`\nIt stays on ${base} until Ctrl-C: try these yourself.`);

async function untilItAnswers() {
  for (;;) {
    try {
      return await fetch(`${base}/livez`);
    } catch {
      await pause(50);
    }
  }
}
