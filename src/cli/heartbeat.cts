import fs = require('node:fs');
import os = require('node:os');
import type { Answer } from './command.cjs';

/** `probeHeartbeat()` writes less. */
const LONGEST_HEARTBEAT = 65_536;

// One file is read at a time. Starting the usual four threads costs a twentieth of a start of Node.
process.env['UV_THREADPOOL_SIZE'] = '1';

/** Not waiting for the writer of a pipe, and following no symbolic link: `probeHeartbeat()` writes neither. */
const OPEN_FLAGS = fs.constants.O_RDONLY | (fs.constants.O_NONBLOCK ?? 0) | (fs.constants.O_NOFOLLOW ?? 0);

/** Why a file cannot be taken for a heartbeat, by the code of the error. */
const REASONS: Readonly<Record<string, string>> = {
  ELOOP: 'it is a symbolic link',
  ENXIO: 'it is no regular file',
};

/**
 * Reads what `probeHeartbeat` has written: the uptime in whole seconds until which it is good, the boot that this uptime counts from, and the failing checks.
 * The clock is that of the machine since its start: setting the time of day changes nothing.
 */
function readHeartbeat(directory: string, file: string, callback: (answer: Answer | string) => void): void {
  const path = `${directory}/${file}`;
  readOwnFile(directory, path, (content, problem) => callback(content === undefined ? problem : judge(path, content)));
}

function judge(path: string, content: string): Answer | string {
  const [until = '', boot, ...lines] = content.split('\n');
  if (!/^\d{1,15}$/.test(until)) return `${path} is no heartbeat. Correct --heartbeat.`;
  const bootNow = readBootId();
  if (boot !== '' && bootNow !== undefined && boot !== bootNow) return `the heartbeat ${path} is from before the machine was started.`;
  const failures = lines.filter(Boolean);
  if (failures.length > 0) return { status: 503, body: failures.join('\n') };
  if (Math.floor(os.uptime()) <= Number(until)) return { status: 200, body: 'ok' };
  // No number that changes: the kubelet makes a new event of each text.
  return `the heartbeat ${path} has expired: the event loop is blocked, or the worker has ended.`;
}

/** Undefined if the system has none: then any boot will do. */
function readBootId(): string | undefined {
  try {
    return fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return undefined;
  }
}

type Callback = (content: string | undefined, problem: string) => void;

/** In Node's threads: if the file system hangs, the timeout is still heeded. Nothing is closed: the process ends in a moment. */
function readOwnFile(directory: string, path: string, callback: Callback): void {
  const fail = (problem: string) => callback(undefined, problem);
  fs.open(path, OPEN_FLAGS, (error, descriptor) => {
    if (error) return fail(explain(path, error));
    fs.fstat(descriptor, (failure, stats) => {
      if (failure) return fail(explain(path, failure));
      if (stats.isDirectory()) return fail(explain(path, { code: 'EISDIR' }));
      if (!stats.isFile()) return fail(explain(path, { code: 'ENXIO' }));
      if (stats.size > LONGEST_HEARTBEAT) {
        return fail(`${path} is no heartbeat: it is longer than ${String(LONGEST_HEARTBEAT)} bytes. Correct --heartbeat.`);
      }
      checkOwner(directory, stats.uid, (isOwn) => {
        if (isOwn) return readAll(path, descriptor, stats.size, callback);
        fail(
          `${path} belongs to user ${String(stats.uid)}, who is neither this user nor the owner of the directory. Run the command as the user of the worker, or let the worker make the directory.`,
        );
      });
    });
  });
}

/**
 * Whose file it may be: the user's own, or that of the owner of the directory, as when the worker has given root up and the probe is run by root.
 * Another user may have put a file into a directory that everybody can write to.
 */
function checkOwner(directory: string, uid: number, callback: (isOwn: boolean) => void): void {
  if (process.geteuid === undefined || uid === process.geteuid()) return callback(true);
  fs.stat(directory, (error, stats) => callback(error === null && stats.uid === uid));
}

function readAll(path: string, descriptor: number, size: number, callback: Callback): void {
  // Node does not read into an empty buffer.
  const buffer = Buffer.allocUnsafe(size + 1);
  fs.read(descriptor, buffer, 0, buffer.length, 0, (error, length) => {
    if (error) return callback(undefined, explain(path, error));
    callback(buffer.toString('utf8', 0, length), '');
  });
}

function explain(path: string, { code = 'ERROR' }: NodeJS.ErrnoException | { code: string }): string {
  if (code === 'ENOENT')
    return `there is no heartbeat ${path}: the worker has not begun, drains or has ended. It is written by \`probeHeartbeat(probes, { directory })\`.`;
  const reason = REASONS[code];
  if (reason !== undefined) return `${path} is no heartbeat: ${reason}. Correct --heartbeat.`;
  return `${path} cannot be read (${code}). Run the command as the user of the worker, or correct --heartbeat.`;
}

export = { readHeartbeat };
