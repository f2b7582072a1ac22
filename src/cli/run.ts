// From the words of a command line to the command that they name.
import { SettingError } from '../base/config.ts';
import { access } from './access.ts';
import { account } from './account.ts';
import { adminToken } from './admin-token.ts';
import { usage } from './arguments.ts';
import { audit } from './audit.ts';
import { container } from './container.ts';
import { type Command, exitCode, type Surroundings } from './contract.ts';
import { fsck } from './fsck.ts';
import { helpOf } from './help.ts';
import { refuse, say } from './refuse.ts';
import { sas } from './sas.ts';
import { scopeCommand as scope } from './scope.ts';
import { serve } from './serve.ts';
import { version } from './version.ts';

const commands: ReadonlyMap<string, Command> = new Map(
  Object.entries({
    serve,
    account,
    container,
    sas,
    scope,
    access,
    'admin-token': adminToken,
    audit,
    fsck,
    version,
  }),
);
const help = helpOf(commands);

/** Resolves with the exit code. Mistakes of the user are told in one line on stderr; a failure of the program throws. */
export async function run(given: readonly string[], around: Surroundings): Promise<number> {
  const isJson = asksForJson(given);
  const surroundings = isJson ? { ...around, json: true } : around;
  const [first, ...rest] = isJson ? withoutJson(given) : given;
  switch (first) {
    case undefined:
      if (isJson) return refuse(usage("a command is needed; try 'causeway help'"), surroundings);
      await help.run([], { ...surroundings, out: surroundings.err });
      return exitCode.usage;
    case '--help':
    case '-h':
    case 'help':
      return help.run(rest, surroundings);
    case '--version':
    case '-v':
      return version.run(rest, surroundings);
  }
  const command = commands.get(first);
  if (command === undefined) {
    const kind = first.startsWith('-') ? 'option' : 'command';
    return refuse(usage(`unknown ${kind} ${shown(first)}; try 'causeway help'`), surroundings);
  }
  if (asksForHelp(rest)) {
    say(surroundings, { help: command.help }, () => [command.help]);
    return exitCode.done;
  }
  try {
    return await command.run(rest, surroundings);
  } catch (error) {
    if (error instanceof SettingError) return refuse(usage(error.message), surroundings);
    throw error;
  }
}

/** The words that may be options: what stands after `--` is none. */
function optionsOf(words: readonly string[]): readonly string[] {
  const end = words.indexOf('--');
  return end === -1 ? words : words.slice(0, end);
}

const asksForHelp = (words: readonly string[]): boolean =>
  optionsOf(words).some((word) => word === '--help' || word === '-h');

export const asksForJson = (words: readonly string[]): boolean => optionsOf(words).includes('--json');

const withoutJson = (words: readonly string[]): string[] => {
  const options = optionsOf(words);
  return [...options.filter((word) => word !== '--json'), ...words.slice(options.length)];
};

/** An option without its value, which may be a secret, and never more than fits a line. */
function shown(word: string): string {
  const name = word.split('=', 1)[0] ?? '';
  return /^[\w.-]{1,40}$/.test(name) ? name : JSON.stringify(name.slice(0, 40));
}
