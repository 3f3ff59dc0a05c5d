import { EXEC_START_SECONDS } from '../../budget.js';
import { fileRule, type Rule } from '../rule.js';
import { commandOf, scriptOf, timeoutOf } from '../commands.js';
import { eachProbe } from './probe-rules.js';

/** A start of Node takes some 40 ms of CPU: every second that is 4 % of a core for each probe. */
const SHORTEST_NODE_PERIOD_SECONDS = 2;
/** For the start of a container's process while other pods start too. */
const SENSIBLE_TIMEOUT_SECONDS = 5;

const PACKAGE_MANAGERS = /(?:^|\/)(?:npm|npx|yarn|pnpm|pnpx|bunx)$/;
const NODE = /(?:^|\/)(?:node|nodejs|koa-probes|tsx|ts-node)$/;

/** What a shell does by itself, without a child. */
const BUILTINS = new Set(
  ': . [ [[ break cd command continue echo eval exec exit export false getopts if then else elif fi for while until do done case esac in printf pwd read readonly return set shift test times trap true type ulimit umask unset local { } ! &&'.split(
    ' ',
  ),
);

/** Probes that start a command. */
export const EXEC_RULES: readonly Rule[] = [
  fileRule(
    'exec-shell-children',
    'warn',
    'When the probe times out, Kubernetes ends the shell, and what the shell has started goes on.',
    (subject) =>
      eachProbe(subject).flatMap((probe) => {
        const script = scriptOf(commandOf(probe));
        const child = script === undefined ? undefined : findChild(script);
        if (child === undefined) return [];
        return [
          {
            at: probe.cursor.at('exec', 'command') ?? probe.cursor,
            message: `The shell of ${probe.field} starts \`${child}\` as a child, which stays behind when the probe times out. Start it without a shell, or by \`exec ${child}\`.`,
          },
        ];
      }),
  ),
  fileRule('exec-cost', 'warn', 'Each probe starts a process, and its CPU is taken from the application.', (subject) =>
    eachProbe(subject).flatMap((probe) => {
      const [program = ''] = commandOf(probe);
      const at = probe.cursor.at('exec', 'command');
      if (at === undefined) return [];
      if (PACKAGE_MANAGERS.test(program)) {
        return [
          {
            at,
            message: `${probe.field} starts ${program}, which starts Node.js twice. Start the program itself: /app/node_modules/.bin/…`,
          },
        ];
      }
      if (!NODE.test(program) || probe.periodSeconds >= SHORTEST_NODE_PERIOD_SECONDS) return [];
      return [
        {
          at,
          message: `${probe.field} starts Node.js every ${String(probe.periodSeconds)} s. Use a period of ${String(SHORTEST_NODE_PERIOD_SECONDS)} s or more, or read a heartbeat by the shell.`,
        },
      ];
    }),
  ),
  fileRule(
    'exec-timeout',
    'error',
    'timeoutSeconds includes the start of the command. If it is over first, Kubernetes reports no reason.',
    (subject) =>
      eachProbe(subject).flatMap((probe) => {
        const command = commandOf(probe);
        const commandSeconds = timeoutOf(command);
        const isNode = NODE.test(command[0] ?? '') || PACKAGE_MANAGERS.test(command[0] ?? '');
        const neededSeconds = commandSeconds === undefined ? (isNode ? 2 : 0) : Math.ceil(commandSeconds + EXEC_START_SECONDS);
        if (probe.timeoutSeconds >= neededSeconds) return [];
        const fix = {
          map: probe.cursor,
          key: 'timeoutSeconds',
          value: Math.max(neededSeconds, commandSeconds === undefined ? SENSIBLE_TIMEOUT_SECONDS : 0),
        };
        const own =
          commandSeconds === undefined
            ? 'the start of Node.js'
            : `${String(commandSeconds)} s for the command + ${String(EXEC_START_SECONDS)} s to start it`;
        return [
          {
            at: probe.cursor.get('timeoutSeconds') ?? probe.cursor,
            message: `timeoutSeconds of ${probe.field} is ${String(probe.timeoutSeconds)}, and ${own} needs ${String(neededSeconds)} s.`,
            fix,
          },
        ];
      }),
  ),
];

/** The first program that the shell starts and waits for. */
function findChild(script: string): string | undefined {
  const commands = script
    .replace(/\$\{[^}]*\}/g, '$x')
    .split(/\|\||&&|[;|\n(){}]|\$\(|`/)
    .map((command) => command.trim());
  for (const command of commands) {
    const words = command.split(/\s+/).filter((word) => !/^\w+=/.test(word));
    const first = words.find(
      (word) => word !== '!' && word !== 'if' && word !== 'while' && word !== 'then' && word !== 'else' && word !== 'do',
    );
    if (first === 'exec') return undefined;
    if (first !== undefined && first !== '' && !BUILTINS.has(first) && !/^[<>"'$\]&\d-]/.test(first)) return first;
  }
  return undefined;
}
