import { wordsOf, type PodProbe } from './workload.js';

/** What a probe command of this package waits for at most if it is not told, in seconds. */
const DEFAULT_COMMAND_SECONDS = 0.9;
const SHELLS = /(?:^|\/)(?:ba|da|a|z|k)?sh$/;

/** The words of an exec probe. */
export function commandOf({ cursor }: PodProbe): string[] {
  return wordsOf(cursor.at('exec', 'command'));
}

/** The arguments of a `koa-probes probe` command; undefined if it is another command. */
export function probeArguments(command: readonly string[]): readonly string[] | undefined {
  const words =
    scriptOf(command)
      ?.split(/\s+/)
      .map((word) => word.replace(/^['"]|['"]$/g, '')) ?? command;
  const at = words.findIndex((word, index) => word === 'probe' && /koa-probes|bin\.cjs$/.test(words[index - 1] ?? ''));
  return at === -1 ? undefined : words.slice(at + 1);
}

/** The value behind an option: `--timeout 4` or `--timeout=4`. */
export function optionOf(words: readonly string[], option: string): string | undefined {
  const at = words.findIndex((word) => word === option || word.startsWith(`${option}=`));
  if (at === -1) return undefined;
  return words[at]?.startsWith(`${option}=`) === true ? words[at]?.slice(option.length + 1) : words[at + 1];
}

/** How long the command waits by itself; undefined if it is not a probe command of this package. */
export function timeoutOf(command: readonly string[]): number | undefined {
  const words = probeArguments(command);
  return words === undefined ? undefined : Number(optionOf(words, '--timeout') ?? DEFAULT_COMMAND_SECONDS);
}

/** What a shell is given to run; undefined if the command is no shell. */
export function scriptOf(command: readonly string[]): string | undefined {
  if (!SHELLS.test(command[0] ?? '')) return undefined;
  const at = command.findIndex((word) => /^-\w*c$/.test(word));
  return at === -1 ? undefined : command[at + 1];
}
