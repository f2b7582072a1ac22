// `causeway account`: creates accounts, lists them, and replaces their keys.
import { isIPv6 } from 'node:net';
import type { Config } from '../base/config.ts';
import { unreachable } from '../base/unreachable.ts';
import { configHelp, configOf, configOptions, readWords, usage } from './arguments.ts';
import { type AccountOutcome, type AccountRecord, type Command, exitCode, type Surroundings } from './contract.ts';
import { fail, refuse } from './refuse.ts';

const nameRule = 'must be 3 to 24 lower-case letters and digits';
const accountName = /^[a-z0-9]{3,24}$/;

const options = { ...configOptions, key: { type: 'string' } } as const;

export const account: Command = {
  summary: 'create and list accounts, replace keys',
  help: `causeway account create NAME [options]
causeway account list [options]
causeway account rotate-key NAME [--key 1|2] [options]

create      makes an account with a random key, and prints its connection string: the only time that it is shown
list        prints the names of all accounts, one a line
rotate-key  replaces the first key of an account (or with '--key 2' the second) by a random one, and prints the new
            connection string; the old key ends at once, so let clients use the other key before

NAME ${nameRule}. It works with and without a server running on the data.

Options:
  --key 1|2           which key rotate-key replaces (1)
${configHelp}
  --help              show this

Example:
  causeway account create photos --data /srv/causeway`,

  async run(words, surroundings) {
    const read = readWords(words, options);
    if (read.kind === 'usage') return refuse(read, surroundings);
    const [action, ...operands] = read.operands;
    const { key } = read.flags;
    if (key !== undefined && action !== 'rotate-key')
      return refuse(usage('--key is for rotate-key only'), surroundings);
    if (key !== undefined && key !== '1' && key !== '2') return refuse(usage('--key must be 1 or 2'), surroundings);

    switch (action) {
      case undefined:
        return refuse(usage('account needs create, list or rotate-key'), surroundings);
      case 'list':
        if (operands.length > 0) return refuse(usage('account list takes no operands'), surroundings);
        return withConfig(list);
      case 'create':
      case 'rotate-key': {
        const [name, ...more] = operands;
        if (name === undefined) return refuse(usage(`account ${action} needs a NAME`), surroundings);
        if (more.length > 0) return refuse(usage(`account ${action} takes one NAME`), surroundings);
        if (!accountName.test(name)) return refuse(usage(`the name of an account ${nameRule}`), surroundings);
        return withConfig(async (config) => {
          const server = await surroundings.server();
          const outcome =
            action === 'create'
              ? await server.createAccount(config, name)
              : await server.rotateKey(config, name, key === '2' ? 2 : 1);
          return tell(outcome, name, config, surroundings);
        });
      }
      default:
        return refuse(usage('account knows create, list and rotate-key only'), surroundings);
    }

    async function withConfig(work: (config: Config, surroundings: Surroundings) => Promise<number>): Promise<number> {
      const outcome = configOf(read.kind === 'words' ? read.flags : {});
      return outcome.kind === 'usage' ? refuse(outcome, surroundings) : work(outcome.config, surroundings);
    }
  },
};

async function list(config: Config, surroundings: Surroundings): Promise<number> {
  const outcome = await (await surroundings.server()).listAccounts(config);
  if (outcome.kind === 'refused') return fail(outcome.message, surroundings);
  for (const name of outcome.names) surroundings.out(name);
  return exitCode.done;
}

function tell(outcome: AccountOutcome, name: string, config: Config, surroundings: Surroundings): number {
  switch (outcome.kind) {
    case 'account':
      surroundings.out(connectionString(outcome, config));
      return exitCode.done;
    case 'account-exists':
      return fail(`account ${name} exists already`, surroundings);
    case 'account-not-found':
      return fail(`there is no account ${name}`, surroundings);
    case 'account-name-invalid':
      return refuse(usage(`the name of an account ${nameRule}`), surroundings);
    case 'refused':
      return fail(outcome.message, surroundings);
    default:
      return unreachable(outcome);
  }
}

/** In the form that Azure's tools and SDKs read. Without a running server, the address is the one it would have. */
export function connectionString({ name, key, blobEndpoint }: AccountRecord, { host, blobPort }: Config): string {
  const endpoint = blobEndpoint ?? `http://${reachable(host)}:${blobPort}/${name}`;
  return `DefaultEndpointsProtocol=http;AccountName=${name};AccountKey=${key};BlobEndpoint=${endpoint};`;
}

/** An address that a client can connect to, as it stands in a URL. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return isIPv6(host) ? `[${host}]` : host;
}
