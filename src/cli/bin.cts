#!/usr/bin/env node
// CommonJS, and what only one way needs is loaded where it is taken: the kubelet starts this every few seconds, and an ES module alone costs a fifth of a start more.
import fs = require('node:fs');
import commandLine = require('./arguments.cjs');
import type askModule = require('./ask.cjs');
import type heartbeatModule = require('./heartbeat.cjs');
import type helpModule = require('./help.cjs');
import type summaryModule = require('./summary.cjs');
import type { Answer, Command, Outcome, ProbeCommand } from './command.cjs';

const STANDARD_OUTPUT = 1;
const STANDARD_ERROR = 2;

const words = process.argv.slice(2);

try {
  start(commandLine.readCommand(words, process.env));
} catch (error) {
  if (!(error instanceof commandLine.UsageError)) throw error;
  finish({ code: 2, text: `koa-probes: ${error.message}` });
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
  const { ask } = require('./ask.cjs') as typeof askModule;
  const path = verbosity === 'verbose' ? `${target.path}?verbose` : target.path;
  ask(way, path, (answer) => finish(judge(command, answer)));
  const cure = 'Its event loop is blocked, or its checks take longer than --timeout.';
  setTimeout(
    () =>
      finish(
        judge(command, `no answer from ${way.by === 'url' ? way.url.origin : way.path} within ${String(timeoutMs / 1_000)} s. ${cure}`),
      ),
    // From the start of the process: so does the kubelet count.
    Math.max(1, timeoutMs - process.uptime() * 1_000),
  );
}

/** Only 200 passes: no other status and no redirect comes from this library for a probe that does. */
function judge({ target, verbosity }: ProbeCommand, answer: Answer | string): Outcome {
  if (typeof answer === 'string') return { code: 1, text: `koa-probes: ${answer}` };
  const code = answer.status === 200 ? 0 : 1;
  if (code === 0 && verbosity !== 'verbose') return { code, text: 'ok' };
  const { summarise } = require('./summary.cjs') as typeof summaryModule;
  return { code, text: summarise(answer, target.path, verbosity) };
}

/** Ends at once: taking the event loop down in good order would cost more than the question. */
function finish({ code, text }: Outcome): void {
  try {
    if (!isQuiet()) fs.writeSync(code === 0 ? STANDARD_OUTPUT : STANDARD_ERROR, `${text}\n`);
  } catch {
    // Nobody reads it: the exit code says the same.
  }
  process.exit(code);
}

/** Also where the command line is wrong otherwise. */
function isQuiet(): boolean {
  return words.some((word) => word === '--quiet' || (word.startsWith('-') && !word.startsWith('--') && word.includes('q')));
}
