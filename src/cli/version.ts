// `causeway version`: which Causeway this is, and the Node that it runs on.
import { readFileSync } from 'node:fs';
import { readWords, usage } from './arguments.ts';
import { type Command, exitCode } from './contract.ts';
import { refuse, say } from './refuse.ts';

export const version: Command = {
  summary: 'show the version',
  help: `causeway version

Shows the version of Causeway, and of the Node that it runs on.`,

  async run(words, surroundings) {
    const read = readWords(words, {});
    if (read.kind === 'usage') return refuse(read, surroundings);
    if (read.operands.length > 0) return refuse(usage('version takes no operands'), surroundings);
    const project = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    const { version } = project;
    const { node } = process.versions;
    say(surroundings, { version, node }, () => [`causeway ${version} (Node ${node})`]);
    return exitCode.done;
  },
};
