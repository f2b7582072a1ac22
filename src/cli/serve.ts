// `causeway serve`: runs the server until it is told to stop.
import { configHelp, configOf, configOptions, readWords, usage } from './arguments.ts';
import type { Command } from './contract.ts';
import { refuse } from './refuse.ts';

export const serve: Command = {
  summary: 'run the server',
  help: `causeway serve [options]

Runs the server. When it is ready it prints one line, 'causeway ready {...}', with the address of every listener.
SIGTERM or SIGINT lets running requests end and stops it. The log goes to stderr, as JSON. With --json the line is the
JSON alone.

Options:
${configHelp}
  --json              print nothing but JSON
  --help              show this

A setting comes from the command line, or else from the config file, or else has its default.

Examples:
  causeway serve --dev
  causeway serve --config /etc/causeway.yaml
  causeway serve --data /srv/causeway --host 0.0.0.0 --workers 8 --set stallTimeoutMs=60000`,

  async run(words, surroundings) {
    const read = readWords(words, configOptions);
    if (read.kind === 'usage') return refuse(read, surroundings);
    if (read.operands.length > 0) return refuse(usage('serve takes no operands'), surroundings);
    const outcome = configOf(read.flags);
    if (outcome.kind === 'usage') return refuse(outcome, surroundings);
    const server = await surroundings.server();
    return server.serve(outcome.config, (urls) => {
      surroundings.out(surroundings.json ? JSON.stringify(urls) : `causeway ready ${JSON.stringify(urls)}`);
    });
  },
};
