import { randomInt } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './processes.js';

const program = fileURLToPath(new URL('names-child.js', import.meta.url));

/** Runs names-child.ts with that resolver alone: only root can give a process a file of its own in place of /etc/resolv.conf. */
export async function runWithOwnResolver(memcachedPort: number): Promise<string> {
  // An address of the loopback that nobody else uses: a resolver is always asked on port 53.
  const resolver = `127.53.${String(randomInt(256))}.${String(randomInt(1, 255))}`;
  const folder = mkdtempSync(join(tmpdir(), 'koa-probes-names-'));
  const settings = join(folder, 'resolv.conf');
  writeFileSync(settings, `nameserver ${resolver}\noptions timeout:3 attempts:5\n`);
  const script = 'mount --bind "$1" /etc/resolv.conf && exec "$2" "$3"';
  const settingsOfChild = { RESOLVER: resolver, MEMCACHED_PORT: String(memcachedPort) };
  const env = { ...process.env, ...settingsOfChild, NODE_EXTRA_CA_CERTS: undefined, NODE_V8_COVERAGE: undefined };
  try {
    return await run('unshare', ['--mount', 'sh', '-c', script, 'sh', settings, process.execPath, program], { env });
  } finally {
    rmSync(folder, { recursive: true });
  }
}
