// `causeway fsck`: checks that every name has its bytes, and that every byte is what was written.
import { configHelp, configOf, configOptions, readWords, usage } from './arguments.ts';
import type { Command } from './contract.ts';
import { refuse } from './refuse.ts';

export const fsck: Command = {
  summary: 'check everything that is stored',
  help: `causeway fsck --data DIR [options]

Walks from every name to its bytes, verifies their checksums, and reports what is damaged, missing, or held by no name.
It changes nothing. Exits with 0 when all is well, and with 1 when something is damaged.

Options:
${configHelp}
  --help              show this

Example:
  causeway fsck --data /srv/causeway`,

  async run(words, surroundings) {
    const read = readWords(words, configOptions);
    if (read.kind === 'usage') return refuse(read, surroundings);
    if (read.operands.length > 0)
      return refuse(usage('fsck takes no operands; the directory is --data DIR'), surroundings);
    const outcome = configOf(read.flags);
    if (outcome.kind === 'usage') return refuse(outcome, surroundings);
    const server = await surroundings.server();
    return server.fsck(outcome.config, { out: surroundings.out });
  },
};
