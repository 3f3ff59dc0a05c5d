import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, linkSync, lstatSync, renameSync, statSync, unlinkSync, type BigIntStats } from 'node:fs';
import { connect, type Server } from 'node:net';
import { dirname, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { isMainThread } from 'node:worker_threads';
import { ConfigurationError } from '../errors.js';

/** Bytes of a path in the address of a UNIX socket, less the zero at its end. Node cuts a longer one without a word. */
const LONGEST_PATH = process.platform === 'linux' ? 107 : 103;

/** How long a process may take between making the file and listening on it. */
const LISTENS_WITHIN_MS = 50;

const MOST_ATTEMPTS = 5;

const OWNER_ONLY = 0o600;

/** Listens on a UNIX socket of the owner's alone. The file of a dead process is replaced; that of a living one, and any other file, stays. */
export async function listenOnSocket(server: Server, path: string): Promise<void> {
  const length = Buffer.byteLength(path);
  if (length > LONGEST_PATH) {
    throw new ConfigurationError(
      `The path of \`socket\` has ${String(length)} bytes, and the system takes ${String(LONGEST_PATH)} at most: ${path}. Choose a shorter one: /run/app/probes.sock.`,
    );
  }
  for (let attempt = 1; ; attempt += 1) {
    try {
      await bind(server, path);
      server.once('close', removeAtExit(path));
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || attempt === MOST_ATTEMPTS) throw error;
    }
    await removeStale(path);
  }
}

/** Why nothing can listen there, and the cure. Node reports a directory that is missing as a lack of permission. */
export function explainSocket(error: unknown, path: string): string | undefined {
  const { code } = error as NodeJS.ErrnoException;
  const directory = dirname(resolve(path));
  const isDirectory = inspectDirectory(directory);
  if (isDirectory === undefined) return `ENOENT: the directory ${directory} does not exist. Make it, or mount a volume there.`;
  if (!isDirectory) return `ENOTDIR: ${directory} is not a directory. Choose a path in one.`;
  if (code === 'EACCES' || code === 'EPERM') {
    return `${code}: this process is not permitted to make a file in ${directory}. Let its user write there, or choose another directory.`;
  }
  return code === 'EROFS'
    ? `${code}: the file system of ${directory} is read-only. Mount a volume there, or choose another directory.`
    : undefined;
}

/** Undefined if there is nothing. */
function inspectDirectory(path: string): boolean | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory();
  } catch {
    // One above it may not be entered.
    return true;
  }
}

/** The file is made within the call of `listen`: the mask stands for no longer. A worker thread cannot set it. */
async function bind(server: Server, path: string): Promise<void> {
  const listening = once(server, 'listening');
  // In a cluster too: the socket is that of one process.
  const listen = () => server.listen({ path, exclusive: true });
  if (isMainThread) {
    const mask = process.umask(0o777 & ~OWNER_ONLY);
    try {
      listen();
    } finally {
      process.umask(mask);
    }
  } else listen();
  await listening;
  if (!isMainThread) chmodSync(path, OWNER_ONLY);
}

/** Node removes the file when the server is closed, and not where the process ends before. The function that it returns leaves it to somebody else. */
export function removeAtExit(path: string): () => void {
  const own = identify(path);
  const remove = () => {
    try {
      if (identify(path) === own) unlinkSync(path);
    } catch {
      // Something else stands there by now, and the process is at its end.
    }
  };
  process.once('exit', remove);
  return () => process.off('exit', remove);
}

async function removeStale(path: string): Promise<void> {
  const first = await identifyStale(path);
  if (first === undefined) return;
  await pause(LISTENS_WITHIN_MS);
  if ((await identifyStale(path)) !== first) return;
  // Out of the way first: another process that starts at the same moment may have put its own there since.
  const aside = `${path}.${randomUUID()}`;
  try {
    renameSync(path, aside);
  } catch {
    return;
  }
  try {
    if (fingerprint(lstatSync(aside, { bigint: true })) !== first) linkSync(aside, path);
  } finally {
    unlinkSync(aside);
  }
}

/** What tells the file from one that replaces it; undefined where there is none any more. */
async function identifyStale(path: string): Promise<string | undefined> {
  const identity = identify(path);
  if (identity === undefined) return undefined;
  const code = await tryToConnect(path);
  // A file that is gone is asked for anew.
  if (code === 'ECONNREFUSED' || code === 'ENOENT') return identity;
  if (code === 'EACCES') {
    throw new ConfigurationError(
      `The \`socket\` ${path} is another user's, and cannot be asked whether that process lives. Remove it, or choose another path.`,
    );
  }
  throw new ConfigurationError(`Another process listens on the \`socket\` ${path}. Give each process a path of its own.`);
}

function identify(path: string): string | undefined {
  const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  if (!stats.isSocket()) {
    throw new ConfigurationError(
      `The \`socket\` ${path} is a file of another kind, which is not replaced. Remove it, or choose another path.`,
    );
  }
  return fingerprint(stats);
}

function fingerprint({ dev, ino, mtimeNs }: BigIntStats): string {
  return [dev, ino, mtimeNs].join(':');
}

/** Only a refusal says that nobody listens. */
async function tryToConnect(path: string): Promise<string | undefined> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  } finally {
    socket.destroy();
  }
}
