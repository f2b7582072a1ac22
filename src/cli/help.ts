// `causeway help`: what there is to run and to set.
import { describeSettings } from '../base/config.ts';
import { readWords, usage } from './arguments.ts';
import { type Command, exitCode } from './contract.ts';
import { refuse, say } from './refuse.ts';

const columnsMax = 120;

/** Help knows of the other commands only what it is given, so that they may not import each other. */
export function helpOf(commands: ReadonlyMap<string, Command>): Command {
  const help: Command = {
    summary: "show this, the help of a command, or 'settings'",
    help: `causeway help [COMMAND | settings]

Shows what there is, the help of one command, or every setting of the config file with its default.`,

    async run(words, surroundings) {
      const read = readWords(words, {});
      if (read.kind === 'usage') return refuse(read, surroundings);
      const [topic, ...more] = read.operands;
      if (more.length > 0) return refuse(usage('help takes one command'), surroundings);
      if (topic === undefined) {
        const all = [...commands].map(([name, { summary }]) => ({ name, summary }));
        say(surroundings, { commands: all }, () => [overview(commands, help)]);
      } else if (topic === 'settings') say(surroundings, { settings: describeSettings() }, () => [settings()]);
      else {
        const command = topic === 'help' ? help : commands.get(topic);
        if (command === undefined) return refuse(usage("no such command; try 'causeway help'"), surroundings);
        say(surroundings, { help: command.help }, () => [command.help]);
      }
      return exitCode.done;
    },
  };
  return help;
}

function overview(commands: ReadonlyMap<string, Command>, help: Command): string {
  const all = [...commands, ['help', help] as const];
  const width = Math.max(...all.map(([name]) => name.length)) + 2;
  const rows = all.map(([name, { summary }]) => `  ${name.padEnd(width)}${summary}`);
  return `Causeway: one durable namespace behind the Azure Blob REST API.

Usage: causeway COMMAND [options]

Commands:
${rows.join('\n')}

Options:
  --help, -h      show this, or after a command its help
  --json          after any command: say everything as JSON, errors too
  --version, -v   show the version

Start here:
  causeway serve --dev      a server on this machine with the development account of the Azure tools;
                            connect with UseDevelopmentStorage=true
  causeway account create photos && causeway container create photos holidays && causeway serve
                            a server of your own; 'causeway sas create' gives somebody access`;
}

function settings(): string {
  const all = describeSettings();
  const width = Math.max(...all.map(({ name }) => name.length)) + 2;
  // The entries of a list that is longer than a line stand below each other.
  const below = `\n${' '.repeat(width + 2)}`;
  const rows = all.map(({ name, byDefault, meaning }) => {
    const isList = byDefault.length > columnsMax / 2;
    const text = isList ? meaning : `${meaning} (${byDefault})`;
    const lines = folded(text, columnsMax - width - 2).join(below);
    return `  ${name.padEnd(width)}${lines}${isList ? `${below}(${byDefault.replaceAll(', ', `,${below}`)})` : ''}`;
  });
  return `Settings, as keys of the YAML file of --config or as --set NAME=VALUE; in brackets, the default:

${rows.join('\n')}

Example of a file:
  data: /srv/causeway
  host: 0.0.0.0
  workers: 8`;
}

function folded(text: string, lineMax: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > lineMax) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}
