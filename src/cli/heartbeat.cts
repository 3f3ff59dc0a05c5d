import fs = require('node:fs');
import os = require('node:os');
import type { Answer } from './command.cjs';

/** `probeHeartbeat()` writes less than this. */
const LONGEST_HEARTBEAT = 65_536;

// One thread is enough, because one file is read at a time. Starting the usual four threads takes a twentieth of the start time of Node.
process.env['UV_THREADPOOL_SIZE'] = '1';

/** Do not wait for the writer of a pipe and do not follow symbolic links. `probeHeartbeat()` creates neither. */
const OPEN_FLAGS = fs.constants.O_RDONLY | (fs.constants.O_NONBLOCK ?? 0) | (fs.constants.O_NOFOLLOW ?? 0);

/** Why a file is not a heartbeat file, by the code of the error. */
const REASONS: Readonly<Record<string, string>> = {
  ELOOP: 'it is a symbolic link',
  ENXIO: 'it is not a regular file',
};

/**
 * Reads a file of `probeHeartbeat`: the uptime in whole seconds until which it is valid, the id of the boot that this uptime counts from, and the failing checks.
 * The uptime does not change when the system time is set.
 */
function readHeartbeat(directory: string, file: string, callback: (answer: Answer | string) => void): void {
  const path = `${directory}/${file}`;
  readOwnFile(directory, path, (content, problem) => callback(content === undefined ? problem : judge(path, content)));
}

function judge(path: string, content: string): Answer | string {
  const [until = '', boot, ...lines] = content.split('\n');
  if (!/^\d{1,15}$/.test(until)) return `${path} is not a heartbeat file. Correct --heartbeat.`;
  const bootNow = readBootId();
  if (boot !== '' && bootNow !== undefined && boot !== bootNow)
    return `the heartbeat ${path} was written before the last boot of the machine.`;
  const failures = lines.filter(Boolean);
  if (failures.length > 0) return { status: 503, body: failures.join('\n') };
  if (Math.floor(os.uptime()) <= Number(until)) return { status: 200, body: 'ok' };
  // The text contains no number that changes, because the kubelet creates a new event for each different text.
  return `the heartbeat ${path} has expired: the event loop is blocked, or the worker has ended.`;
}

/** Returns undefined if the system has no boot id. Then the boot is not compared. */
function readBootId(): string | undefined {
  try {
    return fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return undefined;
  }
}

type Callback = (content: string | undefined, problem: string) => void;

/** Reads asynchronously, so that the timeout works even if the file system hangs. The file is not closed, because the process ends in a moment. */
function readOwnFile(directory: string, path: string, callback: Callback): void {
  const fail = (problem: string) => callback(undefined, problem);
  fs.open(path, OPEN_FLAGS, (error, descriptor) => {
    if (error) return fail(explain(path, error));
    fs.fstat(descriptor, (failure, stats) => {
      if (failure) return fail(explain(path, failure));
      if (stats.isDirectory()) return fail(explain(path, { code: 'EISDIR' }));
      if (!stats.isFile()) return fail(explain(path, { code: 'ENXIO' }));
      if (stats.size > LONGEST_HEARTBEAT) {
        return fail(`${path} is not a heartbeat file: it is longer than ${String(LONGEST_HEARTBEAT)} bytes. Correct --heartbeat.`);
      }
      checkOwner(directory, stats.uid, (isOwn) => {
        if (isOwn) return readAll(path, descriptor, stats.size, callback);
        fail(
          `${path} belongs to user ${String(stats.uid)}, who is neither this user nor the owner of the directory. Run the command as the user of the worker, or let the worker create the directory.`,
        );
      });
    });
  });
}

/**
 * Checks the owner of the file. It must be this user or the owner of the directory, for example if the worker has dropped root privileges and the probe runs as root.
 * In a directory that everybody can write to, another user may have created the file.
 */
function checkOwner(directory: string, uid: number, callback: (isOwn: boolean) => void): void {
  if (process.geteuid === undefined || uid === process.geteuid()) return callback(true);
  fs.stat(directory, (error, stats) => callback(error === null && stats.uid === uid));
}

function readAll(path: string, descriptor: number, size: number, callback: Callback): void {
  // The buffer has one more byte, because Node does not read into an empty buffer.
  const buffer = Buffer.allocUnsafe(size + 1);
  fs.read(descriptor, buffer, 0, buffer.length, 0, (error, length) => {
    if (error) return callback(undefined, explain(path, error));
    callback(buffer.toString('utf8', 0, length), '');
  });
}

function explain(path: string, { code = 'ERROR' }: NodeJS.ErrnoException | { code: string }): string {
  if (code === 'ENOENT')
    return `the heartbeat ${path} does not exist: the worker has not started, is draining or has ended. \`probeHeartbeat(probes, { directory })\` writes it.`;
  const reason = REASONS[code];
  if (reason !== undefined) return `${path} is not a heartbeat file: ${reason}. Correct --heartbeat.`;
  return `${path} cannot be read (${code}). Run the command as the user of the worker, or correct --heartbeat.`;
}

export = { readHeartbeat };
