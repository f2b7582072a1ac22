// `causeway fsck`: checks that every name has its bytes, and that every byte is what was written.
import { configHelp, configOf, configOptions, readWords, usage } from './arguments.ts';
import { type Command, exitCode, type FsckSum } from './contract.ts';
import { refuse, say } from './refuse.ts';

/** So many findings stand in an object of JSON; lines have no end. */
export const findingsMax = 10_000;

const sumLine = ({ entries, bytes, orphans, damage }: FsckSum): string =>
  `${entries} entries, ${bytes} bytes, ${orphans.extents} orphan extents (${orphans.bytes} bytes), ${damage} damaged`;

export const fsck: Command = {
  summary: 'check everything that is stored',
  help: `causeway fsck --data DIR [options]

Walks from every name to its bytes, verifies their checksums, and reports what is damaged, missing, or held by no name.
It changes nothing. Exits with 0 when all is well, and with 1 when something is damaged.

Options:
${configHelp}
  --json              print one object of JSON
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
    const findings: string[] = [];
    let leftOut = 0;
    const sum = await server.fsck(outcome.config, {
      progress: surroundings.progress,
      finding(line) {
        if (surroundings.json !== true) surroundings.out(line);
        else if (findings.length < findingsMax) findings.push(line);
        else leftOut++;
      },
    });
    const told = { findings, ...(leftOut > 0 && { findingsLeftOut: leftOut }) };
    say(surroundings, { ...(sum ?? { damage: null }), ...told }, () => (sum === undefined ? [] : [sumLine(sum)]));
    return sum?.damage === 0 ? exitCode.done : exitCode.failed;
  },
};
