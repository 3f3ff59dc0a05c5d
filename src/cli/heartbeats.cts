import fs = require('node:fs');
import type { Answer } from './command.cjs';
import heartbeat = require('./heartbeat.cjs');

const MOST_DIRECTORIES = 1_000;

/** Reads the heartbeats of several processes, each in its own directory, until `min` of them have passed. */
function readHeartbeats(pattern: string, file: string, min: number, callback: (answer: Answer | string) => void): void {
  listDirectories(pattern, (directories) => {
    if (typeof directories === 'string') return callback(directories);
    if (directories.length === 0) {
      return callback(
        `no directory matches ${pattern}: no worker has started. Each worker calls \`probeHeartbeat(probes, { directory })\` with its own directory.`,
      );
    }
    const total = directories.length;
    let passed = 0;
    const failures: string[] = [];
    const readNext = () => {
      if (passed === min) return callback({ status: 200, body: 'ok' });
      const directory = directories.shift();
      if (directory === undefined) {
        return callback({
          status: 503,
          body: [`[-]${pattern} failed: ${String(passed)} of ${String(total)} passed, --min is ${String(min)}`, ...failures].join('\n'),
        });
      }
      heartbeat.readHeartbeat(directory, file, (answer) => {
        if (typeof answer === 'string') failures.push(`[-]${answer}`);
        else if (answer.status === 200) passed += 1;
        else failures.push(...answer.body.split('\n').map((line) => `[-]${directory}: ${line.replace('[-]', '')}`));
        readNext();
      });
    };
    readNext();
  });
}

/** Lists the directories that match a pattern, sorted. `*` matches any part of one name, except a dot at its start. */
function listDirectories(pattern: string, callback: (directories: string[] | string) => void): void {
  const names = pattern.replace(/\/+$/, '').split('/');
  const extend = (bases: readonly string[], [name, ...more]: readonly string[]): void => {
    if (name === undefined) return callback(bases.map((base) => base.slice(0, -1)).toSorted());
    if (name.includes('*')) {
      return listMatches(bases, toExpression(name), (found) => (typeof found === 'string' ? callback(found) : extend(found, more)));
    }
    const longer = bases.map((base) => `${base}${name}/`);
    extend(longer, more);
  };
  extend([''], names);
}

/** Lists the directories in all bases whose names match. Each base and each directory ends with a slash. */
function listMatches(bases: readonly string[], expression: RegExp, callback: (directories: string[] | string) => void): void {
  const found: string[] = [];
  const listNext = ([base, ...more]: readonly string[]): void => {
    if (base === undefined) return callback(found);
    fs.readdir(base || '.', { withFileTypes: true }, (error, entries: readonly fs.Dirent[] | undefined) => {
      if (error && error.code !== 'ENOENT' && error.code !== 'ENOTDIR') {
        return callback(`${base || '.'} cannot be listed (${error.code ?? 'ERROR'}). Correct --heartbeat.`);
      }
      for (const entry of entries ?? []) {
        if (entry.isDirectory() && expression.test(entry.name)) found.push(`${base}${entry.name}/`);
      }
      if (found.length <= MOST_DIRECTORIES) return listNext(more);
      callback(
        `--heartbeat matches more than ${String(MOST_DIRECTORIES)} directories. Let each new worker use the directory of the worker that it replaces.`,
      );
    });
  };
  listNext(bases);
}

function toExpression(name: string): RegExp {
  const parts = name.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${name.startsWith('*') ? '(?!\\.)' : ''}${parts.join('.*')}$`, 'su');
}

export = { readHeartbeats };
