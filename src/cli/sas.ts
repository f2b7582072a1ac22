// `causeway sas`: shared access signatures, which give somebody a part of what an account's key or a user may do.
import { accountOperand, managementCommand, type Operand } from './management.ts';

const container: Operand = { shown: 'CONTAINER', field: 'container', isOptional: true };
const blob: Operand = { shown: 'BLOB', field: 'blob', isOptional: true };

export const sas = managementCommand({
  name: 'sas',
  summary: 'shared access signatures',
  notes: `A signature is of the whole account, or with CONTAINER of a container, or with BLOB of one blob or, with --snapshot or
--version-id, of one of its states. A key of the account makes it; with --principal it is made in the name of a user of
Entra ID, allows no more than that user's roles do, and lasts for seven days at the most.
LETTERS: r read, a add, c create, w write, d delete, x delete versions, y delete for good, l list, t tags,
f find by tags, m move, e execute, o owner, p permissions, i immutability.
TIME is 2026-01-31T12:00:00Z, or how long from now, and of --expiry from --start: 30m, 12h, 7d. It ends no sooner than
--expiry, unless its key is replaced, or the policy or the role behind it goes: nothing keeps a signature that could be
taken back by itself. The address of a blob opens as it is; to that of a container add "&restype=container&comp=list" to
list it, to that of an account "&comp=list".`,
  example: `  causeway sas create photos 2026 --permissions rcwl --expiry 7d --data /srv/causeway
  curl "$(causeway sas create photos 2026 a.jpg --only url --data /srv/causeway)"`,
  flags: {
    permissions: { shown: 'LETTERS', help: 'what it allows (r of a blob, else rl)' },
    expiry: { shown: 'TIME', help: 'when it ends (1h)' },
    start: { shown: 'TIME', help: 'when it begins (at once)' },
    ip: { shown: 'RANGE', help: 'from where it is taken: 10.0.0.1, or 10.0.0.1-10.0.0.9' },
    'https-only': { help: 'it is taken over HTTPS only' },
    policy: { shown: 'ID', help: 'a stored access policy of the container, which says the rest' },
    snapshot: { shown: 'TIME', help: 'of this snapshot of BLOB' },
    'version-id': { shown: 'ID', help: 'of this version of BLOB' },
    'resource-types': { shown: 'LETTERS', help: 'of an account: s service, c container, o object (sco)' },
    key: { shown: '1|2', kind: ['1', '2'], help: 'which of the two keys makes it (1)' },
    principal: { shown: 'ID', help: 'object id of the user in whose name it is made' },
    tenant: { shown: 'ID', help: 'the tenant of the user' },
    only: { shown: 'token|url', kind: ['token', 'url'], isLocal: true, help: 'print nothing else' },
  },
  actions: [
    {
      name: 'create',
      summary: 'makes a signature, and prints it and the address with it',
      operands: [accountOperand, container, blob],
      flags: [
        ...['permissions', 'expiry', 'start', 'ip', 'https-only', 'policy', 'snapshot', 'version-id'],
        ...['resource-types', 'key', 'principal', 'tenant', 'only'],
      ],
      say: ({ token, url, expires }, { only }) => {
        if (only === 'token') return [token as string];
        if (only === 'url') return [url as string];
        return [`token=${token}`, `url=${url}`, ...(expires === null ? [] : [`expires=${expires}`])];
      },
    },
  ],
});
