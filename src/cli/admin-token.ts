// `causeway admin-token`: credentials of the admin API.
import { managementCommand, type Operand } from './management.ts';

const name: Operand = { shown: 'NAME', field: 'name' };

interface Token {
  readonly name: string;
  readonly expires: string | null;
}

export const adminToken = managementCommand({
  name: 'admin-token',
  summary: 'credentials of the admin API',
  notes: `Requests to the admin API carry 'Authorization: Bearer TOKEN'. Only a hash of a token is kept: it is shown once.
NAME is 1 to 64 lower-case letters, digits and hyphens.`,
  example: '  causeway admin-token create deploy --days 90 --data /srv/causeway',
  flags: { days: { shown: 'N', kind: 'whole', help: 'days for which the token is good (for ever)' } },
  actions: [
    {
      name: 'create',
      summary: 'makes a token and prints it',
      operands: [name],
      flags: ['days'],
      say: ({ token }) => [token as string],
    },
    {
      name: 'list',
      summary: 'prints the names of tokens, and when they end',
      operands: [],
      say: ({ tokens }) => (tokens as Token[]).map(({ name, expires }) => `${name}\t${expires ?? 'for ever'}`),
    },
    { name: 'revoke', summary: 'ends a token at once', operands: [name], say: () => [] },
  ],
});
