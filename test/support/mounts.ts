import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run, start, until } from './processes.js';

/** Only root can mount. */
export const canMount = process.getuid?.() === 0 && process.platform === 'linux';

/** Where a file system can be served by a process, or by one that does not serve. */
export const canMountSilent = canMount && existsSync('/dev/fuse');

/** A file system of the test's own, which goes with it. */
export interface Mount {
  readonly path: string;
  remount(options: string): Promise<unknown>;
  remove(): Promise<void>;
}

/** In memory, with limits to reach. */
export async function mountTmpfs(options: string): Promise<Mount> {
  const path = makeFolder();
  await run('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', path]);
  return mountAt(path, async () => {});
}

/** In a file, and able to freeze: then whoever writes waits until it thaws. */
export async function mountExt4(): Promise<Mount & { freeze(): Promise<unknown>; thaw(): Promise<unknown> }> {
  const path = makeFolder();
  const image = `${path}.img`;
  await run('truncate', ['-s', '8M', image]);
  await run('mkfs.ext4', ['-q', '-F', image]);
  await run('mount', ['-o', 'loop', image, path]);
  return {
    ...mountAt(path, async () => rmSync(image)),
    async freeze() {
      await run('fsfreeze', ['--freeze', path]);
      // Whoever touches it waits without an end and cannot be killed: it thaws though the test dies.
      spawn('sh', ['-c', `sleep 20; fsfreeze --unfreeze ${path}`], { detached: true, stdio: 'ignore' }).unref();
    },
    thaw: () => run('fsfreeze', ['--unfreeze', path]),
  };
}

/** A file system whose server never answers, put over a folder: whoever touches it waits until it is gone. */
export async function mountSilent(path: string): Promise<{ remove(): Promise<void> }> {
  // The kernel hands requests to who holds the device; this one reads none of them.
  const script =
    'exec 3<>/dev/fuse; mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 silent "$1" && echo mounted && exec sleep 60';
  const server = start('bash', ['-c', script, 'bash', path]);
  await until(() => server.output().includes('mounted'));
  return {
    async remove() {
      await server.stop('SIGKILL');
      await run('umount', ['-l', path]);
    },
  };
}

function makeFolder(): string {
  return mkdtempSync(join(tmpdir(), 'koa-probes-disk-'));
}

function mountAt(path: string, cleanUp: () => Promise<void>): Mount {
  return {
    path,
    remount: (options) => run('mount', ['-o', `remount,${options}`, path]),
    async remove() {
      await run('umount', [path]);
      rmdirSync(path);
      await cleanUp();
    },
  };
}
