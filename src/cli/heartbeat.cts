import fs = require('node:fs');
import os = require('node:os');
import type { Answer } from './command.cjs';

/**
 * Reads what `probeHeartbeat` has written: the uptime in whole seconds until which it is good, the boot that this uptime counts from, and the failing checks.
 * The clock is that of the machine since its start: setting the time of day changes nothing.
 */
function readHeartbeat(directory: string, file: string): Answer | string {
  const path = `${directory}/${file}`;
  const content = read(path);
  if (typeof content !== 'string') {
    if (content.code !== 'ENOENT')
      return `${path} cannot be read (${content.code}). Run the command as the user of the worker, or correct --heartbeat.`;
    return `there is no heartbeat ${path}: the worker has not begun, drains or has ended. It is written by \`probeHeartbeat(probes, { directory })\`.`;
  }
  const [until, boot, ...failures] = content.split('\n');
  if (failures.length > 1) return { status: 503, body: failures.join('\n') };
  if (!/^\d+$/.test(until ?? '')) return `${path} is no heartbeat. Correct --heartbeat.`;
  const bootNow = read('/proc/sys/kernel/random/boot_id');
  if (boot !== '' && typeof bootNow === 'string' && boot !== bootNow.trim())
    return `the heartbeat ${path} is from before the machine was started.`;
  const lateBy = Math.floor(os.uptime()) - Number(until);
  return lateBy <= 0
    ? { status: 200, body: 'ok' }
    : `the heartbeat ${path} has expired ${String(lateBy)} s ago: the event loop is blocked, or the worker has ended.`;
}

const NOT_BLOCKING = fs.constants.O_RDONLY | fs.constants.O_NONBLOCK;

function read(path: string): string | { readonly code: string } {
  try {
    // What stands there may be a pipe, and nobody may write to it.
    return fs.readFileSync(fs.openSync(path, NOT_BLOCKING), 'utf8');
  } catch (error) {
    return { code: (error as NodeJS.ErrnoException).code ?? 'ERROR' };
  }
}

export = { readHeartbeat };
