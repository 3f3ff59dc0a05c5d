#!/usr/bin/env node
// The kubelet starts this command every few seconds, so it must start fast. It is CommonJS, because loading an ES module takes a fifth of the start time longer.
// Code for only one command or option is loaded when it is needed. Code that every command needs, and the code for a request to a server, is built into one file.
import fs = require('node:fs');
import commandLine = require('./arguments.cjs');
import type askModule = require('./ask.cjs');
import type heartbeatModule = require('./heartbeat.cjs');
import type heartbeatsModule = require('./heartbeats.cjs');
import type helpModule = require('./help.cjs');
import type summaryModule = require('./summary.cjs');
import type threadsModule = require('./threads.cjs');
import type { Answer, Command, HeartbeatWay, Outcome, ProbeCommand, Target } from './command.cjs';

const STANDARD_OUTPUT = 1;
const STANDARD_ERROR = 2;

const ATTEMPT_EVERY_MS = 5;
const MOST_ATTEMPTS = 1_000;

const words = process.argv.slice(2);
let isFinished = false;

try {
  start(commandLine.readCommand(words, process.env));
} catch (error) {
  if (!(error instanceof commandLine.UsageError)) throw error;
  const isQuiet = words.some((word) => word === '--quiet' || /^-[a-zA-Z]*q[a-zA-Z]*$/.test(word));
  finish({ code: 2, text: isQuiet ? '' : oneLine(`koa-probes: ${error.message}`) });
}

function start(command: Command): void {
  switch (command.name) {
    case 'help':
      return finish({ code: 0, text: (require('./help.cjs') as typeof helpModule).TEXT.trimEnd() });
    case 'version':
      return finish({ code: 0, text: (require('../../package.json') as { version: string }).version });
    case 'list':
      void import('./list-app.js').then(({ listApp }) => listApp(command, finishWithApp(command.timeoutMs)));
      return;
    case 'openapi':
      void import('./openapi.js').then(({ describeEndpoints }) => finish(describeEndpoints(command)));
      return;
    case 'lint':
      void import('./lint-app.js').then(({ lintApp }) => lintApp(command.words, finishWithApp));
      return;
    case 'manifest':
      void import('./manifest-app.js').then(({ manifestApp }) => manifestApp(command.words, finishWithApp));
      return;
    case 'probe':
      return startProbe(command);
  }
}

function startProbe(command: ProbeCommand): void {
  const { target, way, timeoutMs, verbosity } = command;
  if (way.by === 'app') {
    void import('./probe-app.js').then(({ probeApp }) => probeApp(way.module, command, finishWithApp(timeoutMs)));
    return;
  }
  const answer = (given: Answer | string) => finish(judge(command, given), timeoutMs);
  // The timeout counts from the start of the process, as for the kubelet.
  const remainingMs = Math.max(1, timeoutMs - process.uptime() * 1_000);
  const limit = `within ${String(timeoutMs / 1_000)} s`;
  if (way.by === 'heartbeat') {
    setTimeout(
      () => answer(`the heartbeat ${way.directory}/${target.file} could not be read ${limit}: its file system hangs.`),
      remainingMs,
    );
    return startReading(way, target, answer);
  }
  const { ask, nameOf } = require('./ask.cjs') as typeof askModule;
  const cure = 'Its event loop is blocked, or its checks take longer than --timeout.';
  setTimeout(() => answer(`no answer from ${nameOf(way)} ${limit}. ${cure}`), remainingMs);
  ask(way, verbosity === 'verbose' ? `${target.path}?verbose` : target.path, answer);
}

function startReading({ directory, min }: HeartbeatWay, { file }: Target, answer: (given: Answer | string) => void): void {
  if (min === undefined) return (require('./heartbeat.cjs') as typeof heartbeatModule).readHeartbeat(directory, file, answer);
  (require('./heartbeats.cjs') as typeof heartbeatsModule).readHeartbeats(directory, file, min, answer);
}

/** Only 200 passes. For a probe that passes, this library never answers with another status or a redirect. */
function judge({ target, verbosity }: ProbeCommand, answer: Answer | string): Outcome {
  const code = typeof answer !== 'string' && answer.status === 200 ? 0 : 1;
  if (verbosity === 'quiet') return { code, text: '' };
  if (typeof answer === 'string') return { code, text: oneLine(`koa-probes: ${answer}`) };
  if (code === 0 && verbosity !== 'verbose') return { code, text: 'ok' };
  const { summarise } = require('./summary.cjs') as typeof summaryModule;
  return { code, text: summarise(answer, target.path, verbosity) };
}

function oneLine(text: string): string {
  return (require('./summary.cjs') as typeof summaryModule).toOneLine(text);
}

/** Ends the process at once, because a regular end of the event loop would take longer than the request. Only the first call has an effect. */
function finish({ code, text }: Outcome, timeoutMs = 0): void {
  if (isFinished) return;
  isFinished = true;
  if (text !== '') say(code === 0 ? STANDARD_OUTPUT : STANDARD_ERROR, `${text}\n`);
  if (code === 0) process.exit(0);
  endProcess(code, timeoutMs);
}

/** Ends a process that has imported an application. Even a pass has to wait for the threads of the application. */
function finishWithApp(timeoutMs: number): (outcome: Outcome) => void {
  return ({ code, text, isResult }) => {
    if (text !== '') say(code === 0 || isResult === true ? STANDARD_OUTPUT : STANDARD_ERROR, `${text}\n`);
    endProcess(code, timeoutMs);
  };
}

function endProcess(code: Outcome['code'], timeoutMs: number): void {
  (require('./threads.cjs') as typeof threadsModule).endProcess(code, timeoutMs);
}

/** Writes to a stream. If an application has made a pipe non-blocking, the pipe accepts only part of the text at a time. If nobody reads the text, the exit code is still right. */
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
