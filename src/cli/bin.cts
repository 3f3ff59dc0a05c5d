#!/usr/bin/env node
// CommonJS, and what only one way needs is loaded where it is taken: the kubelet starts this every few seconds, and an ES module alone costs a fifth of a start more.
// What all of them and a question to a server need is built into one file.
import fs = require('node:fs');
import commandLine = require('./arguments.cjs');
import type askModule = require('./ask.cjs');
import type heartbeatModule = require('./heartbeat.cjs');
import type helpModule = require('./help.cjs');
import type summaryModule = require('./summary.cjs');
import type threadsModule = require('./threads.cjs');
import type { Answer, Command, Outcome, ProbeCommand } from './command.cjs';

const STANDARD_OUTPUT = 1;
const STANDARD_ERROR = 2;

const ATTEMPT_EVERY_MS = 5;
const MOST_ATTEMPTS = 1_000;

const words = process.argv.slice(2);

try {
  start(commandLine.readCommand(words, process.env));
} catch (error) {
  if (!(error instanceof commandLine.UsageError)) throw error;
  const isQuiet = words.some((word) => word === '--quiet' || /^-[a-zA-Z]*q[a-zA-Z]*$/.test(word));
  finish({ code: 2, text: isQuiet ? '' : `koa-probes: ${error.message}` });
}

function start(command: Command): void {
  switch (command.name) {
    case 'help':
      return finish({ code: 0, text: (require('./help.cjs') as typeof helpModule).TEXT.trimEnd() });
    case 'version':
      return finish({ code: 0, text: (require('../../package.json') as { version: string }).version });
    case 'list':
      void import('./list-app.js').then(({ listApp }) => listApp(command, finish));
      return;
    case 'probe':
      return startProbe(command);
  }
}

function startProbe(command: ProbeCommand): void {
  const { target, way, timeoutMs, verbosity } = command;
  if (way.by === 'heartbeat') {
    const { readHeartbeat } = require('./heartbeat.cjs') as typeof heartbeatModule;
    return finish(judge(command, readHeartbeat(way.directory, target.file)));
  }
  if (way.by === 'app') {
    void import('./probe-app.js').then(({ probeApp }) => probeApp(way.module, command, finish));
    return;
  }
  const { ask, nameOf } = require('./ask.cjs') as typeof askModule;
  const path = verbosity === 'verbose' ? `${target.path}?verbose` : target.path;
  ask(way, path, (answer) => finish(judge(command, answer)));
  const cure = 'Its event loop is blocked, or its checks take longer than --timeout.';
  setTimeout(
    () => finish(judge(command, `no answer from ${nameOf(way)} within ${String(timeoutMs / 1_000)} s. ${cure}`)),
    // From the start of the process: so does the kubelet count.
    Math.max(1, timeoutMs - process.uptime() * 1_000),
  );
}

/** Only 200 passes: no other status and no redirect comes from this library for a probe that does. */
function judge({ target, verbosity }: ProbeCommand, answer: Answer | string): Outcome {
  const code = typeof answer !== 'string' && answer.status === 200 ? 0 : 1;
  if (verbosity === 'quiet') return { code, text: '' };
  if (typeof answer === 'string') return { code, text: `koa-probes: ${answer}` };
  if (code === 0 && verbosity !== 'verbose') return { code, text: 'ok' };
  const { summarise } = require('./summary.cjs') as typeof summaryModule;
  return { code, text: summarise(answer, target.path, verbosity) };
}

/** Ends at once: taking the event loop down in good order would cost more than the question. */
function finish({ code, text }: Outcome): void {
  if (text !== '') say(code === 0 ? STANDARD_OUTPUT : STANDARD_ERROR, `${text}\n`);
  if (code === 1 && (require('./threads.cjs') as typeof threadsModule).hasBusyThreads()) {
    // The exit would wait for them. That it failed is told by a signal as well, whatever a listener does.
    const kill = () => process.kill(process.pid, 'SIGKILL');
    Object.assign(process, { reallyExit: kill });
    try {
      process.emit('exit', code);
    } finally {
      kill();
    }
  }
  process.exit(code);
}

/** A pipe takes at once what it has room for, where an application has made it so. Who does not read reads the exit code. */
function say(stream: number, text: string): void {
  let rest: string | Uint8Array = text;
  for (let attempts = 0; attempts < MOST_ATTEMPTS; attempts += 1) {
    try {
      const written: number = typeof rest === 'string' ? fs.writeSync(stream, rest) : fs.writeSync(stream, rest);
      if (written === Buffer.byteLength(rest)) return;
      rest = Buffer.from(rest).subarray(written);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ATTEMPT_EVERY_MS);
    }
  }
}
