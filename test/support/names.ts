import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './processes.js';

/** An address of the loopback that nobody else uses. */
export const RESOLVER = '127.0.53.99';

const program = fileURLToPath(new URL('names-child.js', import.meta.url));

/** Runs names-child.ts with that resolver alone: only root can give a process a file of its own in place of /etc/resolv.conf. */
export async function runWithOwnResolver(memcachedPort: number): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'koa-probes-names-'));
  const settings = join(folder, 'resolv.conf');
  writeFileSync(settings, `nameserver ${RESOLVER}\noptions timeout:3 attempts:5\n`);
  const script = 'mount --bind "$1" /etc/resolv.conf && exec "$2" "$3"';
  const env = { ...process.env, MEMCACHED_PORT: String(memcachedPort), NODE_EXTRA_CA_CERTS: undefined, NODE_V8_COVERAGE: undefined };
  try {
    return await run('unshare', ['--mount', 'sh', '-c', script, 'sh', settings, process.execPath, program], { env });
  } finally {
    rmSync(folder, { recursive: true });
  }
}
