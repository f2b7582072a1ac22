// `causeway scope`: encryption scopes, and the keys of the customer that protect them.
import { accountOperand, managementCommand, type Operand, sayFields } from './management.ts';

const scope: Operand = { shown: 'SCOPE', field: 'scope' };

interface Scope {
  readonly name: string;
  readonly state: string;
  readonly source: string;
  readonly keyVaultKey?: string;
}

export const scopeCommand = managementCommand({
  name: 'scope',
  summary: 'encryption scopes and their keys',
  notes: `The key of a scope is one of an Azure key vault, or else one in a file of the server's own. Rotating takes the newest
version of it, and rewrites no content. What a disabled scope protects can be neither read nor written.`,
  example: `  causeway scope create photos customer-a --key-vault-key https://a.vault.azure.net/keys/blobs --data /srv/causeway
  causeway account set photos encryption-scope=customer-a --data /srv/causeway`,
  flags: {
    'key-vault-key': { shown: 'URL', help: 'the key in a key vault: https://VAULT/keys/NAME' },
    local: { help: "a key of the server's own key file (so without --key-vault-key)" },
    renew: { help: 'what is written from now on gets a new key of the scope as well' },
  },
  actions: [
    {
      name: 'create',
      summary: 'makes an encryption scope',
      operands: [accountOperand, scope],
      flags: ['key-vault-key', 'local'],
      say: sayFields,
    },
    {
      name: 'list',
      summary: 'prints the encryption scopes of an account: name, state, key',
      operands: [accountOperand],
      pageOf: 'scopes',
      say: ({ scopes }) =>
        (scopes as Scope[]).map(({ name, state, source, keyVaultKey }) =>
          [name, state, keyVaultKey ?? source].join('\t'),
        ),
    },
    {
      name: 'rotate',
      summary: 'takes the newest version of the key of a scope',
      operands: [accountOperand, scope],
      flags: ['renew'],
      say: sayFields,
    },
    {
      name: 'disable',
      summary: 'makes what a scope protects unreadable',
      operands: [accountOperand, scope],
      say: sayFields,
    },
    { name: 'enable', summary: 'lets a scope be used again', operands: [accountOperand, scope], say: sayFields },
  ],
});
