import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { projectPath } from '../support/consumer.js';
import { ask } from '../support/http.js';
import { until } from '../support/processes.js';

const PROGRAM = fileURLToPath(new URL('programs/signals.js', import.meta.url));
const CTRL_C = '\x03';

/** Long enough that every signal comes while it is in flight. */
const SLOW = '/slow?ms=2000';

/** What stands between the terminal and the application. Each passes signals on in its own way, and most send one a second time. */
const wrappers: Readonly<Record<string, string>> = {
  node: `node ${PROGRAM}`,
  'node --watch': `node --watch ${PROGRAM}`,
  nodemon: `nodemon ${PROGRAM}`,
  'cross-env': `cross-env MODE=development node ${PROGRAM}`,
  'dotenv-cli': `dotenv -- node ${PROGRAM}`,
  'npm start': 'npm start',
  'a shell': `sh -c 'node ${PROGRAM}; true'`,
};

interface Session {
  readonly process: ChildProcess;
  output(): string;
  /** The process of the application itself. */
  readonly pid: number;
  readonly url: string;
}

/** What somebody at the terminal does, or who ends the session. */
const actions: Readonly<Record<string, { act: (session: Session) => unknown; outcome: string }>> = {
  'one Ctrl-C': { act: press, outcome: '200, exit code 0' },
  'two Ctrl-C within a second': {
    act: async (session) => {
      press(session);
      await pause(100);
      press(session);
    },
    outcome: '200, exit code 0',
  },
  'a SIGTERM to the whole group, twice': {
    act: async ({ pid }) => {
      process.kill(-groupOf(pid), 'SIGTERM');
      await pause(100);
      process.kill(pid, 'SIGTERM');
    },
    outcome: '200, exit code 0',
  },
  'a second Ctrl-C later': {
    act: async (session) => {
      press(session);
      await pause(1_200);
      press(session);
    },
    outcome: 'lost, exit code 1',
  },
};

describe('gracefulShutdown() in a terminal', function () {
  this.timeout(60_000);
  const sessions: Session[] = [];
  let folder: string;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'terminal-'));
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'app', scripts: { start: `node ${PROGRAM}` } }));
  });
  after(() => rmSync(folder, { recursive: true }));
  afterEach(() => {
    for (const { process: terminal, pid } of sessions.splice(0)) {
      terminal.kill('SIGKILL');
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended, as it should.
      }
    }
  });

  /** A pseudo-terminal with a shell, which stays when the command has ended, as that of a user does. */
  async function begin(command: string): Promise<Session> {
    const PATH = [join(process.execPath, '..'), projectPath('node_modules/.bin'), process.env['PATH']].join(':');
    const terminal = spawn('script', ['-qfec', `trap : INT TERM; ${command}; sleep 60`, '/dev/null'], {
      cwd: folder,
      env: {
        ...process.env,
        PATH,
        SHELL: '/bin/sh',
        NODE_EXTRA_CA_CERTS: undefined,
        NODE_V8_COVERAGE: undefined,
        npm_config_update_notifier: 'false',
      },
    });
    let output = '';
    for (const stream of [terminal.stdout, terminal.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const [, pid, port] = await until(() => /process (\d+)[^]*listening on (\d+)/.exec(output));
    const session = { process: terminal, output: () => output, pid: Number(pid), url: `http://127.0.0.1:${String(port)}` };
    sessions.push(session);
    return session;
  }

  for (const [wrapper, command] of Object.entries(wrappers)) {
    it(`loses no request under ${wrapper}, unless Ctrl-C is pressed again after a second`, async () => {
      const outcomes = Object.entries(actions).map(async ([action, { act }]) => {
        const session = await begin(command);
        const slow = ask(session.url + SLOW, { headers: { connection: 'keep-alive' } }).then(
          ({ status }) => String(status),
          () => 'lost',
        );
        await until(() => session.output().includes('slow request begun'));
        await act(session);
        const answer = await slow;
        const [exit] = await until(() => /exit code \d+/.exec(session.output()));
        return [action, `${answer}, ${exit}`] as const;
      });
      const expected = Object.entries(actions).map(([action, { outcome }]) => [action, outcome]);
      expect(Object.fromEntries(await Promise.all(outcomes))).to.deep.equal(Object.fromEntries(expected));
    });
  }
});

function press({ process: terminal }: Session): void {
  terminal.stdin?.write(CTRL_C);
}

function groupOf(pid: number): number {
  const [, afterName = ''] = readFileSync(`/proc/${String(pid)}/stat`, 'utf8').split(') ');
  return Number(afterName.split(' ')[2]);
}
