// What to do about what a server refused: the command that shows, or makes, what is missing.

type Fields = Readonly<Record<string, unknown>>;

/** By the code of the refusal; `input` is what was asked. */
const hints: Readonly<Record<string, (input: Fields) => string | undefined>> = {
  AccountAlreadyExists: ({ account }) =>
    `'causeway account connection-string ${account}' shows its key; 'causeway account rotate-key ${account}' replaces it`,
  AccountNotFound: () => "'causeway account list' shows what accounts there are; 'account create' makes one",
  AccountNotEmpty: ({ account }) =>
    `'causeway container list ${account}' shows its containers; 'container delete' takes one away`,
  ContainerNotFound: ({ account }) => `'causeway container list ${account}' shows what containers there are`,
  ContainerAlreadyExists: ({ account, container }) =>
    `'causeway container show ${account} ${container}' shows what is set on it`,
  AccessPolicyNotFound: () => 'stored access policies are set with Set Container ACL',
  RoleNotFound: ({ account }) => `'causeway access role list ${account}' shows what roles there are`,
  RoleInUse: ({ account }) => `'causeway access list ${account}' shows who has it`,
  AssignmentNotFound: ({ account }) => `'causeway access list ${account}' shows what assignments there are`,
  ScopeNotFound: ({ account }) => `'causeway scope list ${account}' shows what encryption scopes there are`,
  TokenAlreadyExists: ({ name }) =>
    `a token is shown once; where it is lost, 'causeway admin-token revoke ${name}' and make it again`,
  TokenNotFound: () => "'causeway admin-token list' shows what tokens there are",
};

export const hintOf = (code: string, input: Fields): string | undefined =>
  Object.hasOwn(hints, code) ? hints[code]?.(input) : undefined;
