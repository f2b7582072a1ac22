// What a management command is: its name on the command line, its place in the REST API, the shape of its input, its work.
import { z } from 'zod';
import type { Cause } from '../../namespace/journal.ts';
import type { Store } from '../../namespace/store.ts';

/** What a command works with. */
export interface CommandContext {
  readonly store: Store;
  readonly cause: Cause;
  /** `scheme://host:port` of the Blob API, as clients reach it. */
  readonly blob: string;
  /** The action that an operation of the Blob API needs, by its name (`PutBlob`). */
  readonly actionOf: (operation: string) => Promise<string | undefined>;
}

/** Every way in which a command says no, with its HTTP status. */
export const refusals = {
  InvalidInput: 400,
  AccountNotFound: 404,
  AccountAlreadyExists: 409,
  AccountNotEmpty: 409,
  ContainerAlreadyExists: 409,
  ContainerLeased: 409,
  AccessPolicyNotFound: 404,
  SettingsConflict: 409,
  ContainerNotFound: 404,
  RestoreNotFound: 404,
  PolicyRefused: 409,
  RoleNotFound: 404,
  RoleInUse: 409,
  AssignmentNotFound: 404,
  AssignmentAlreadyExists: 409,
  ScopeNotFound: 404,
  ScopeAlreadyExists: 409,
  KeyNotAvailable: 409,
  TokenNotFound: 404,
  TokenAlreadyExists: 409,
  LimitExceeded: 409,
  CommandNotFound: 404,
  Busy: 503,
  DiskFull: 503,
} as const;

export type RefusalCode = keyof typeof refusals;

export interface Refused {
  readonly kind: 'refused';
  readonly code: RefusalCode;
  /** One line. It repeats names of accounts, containers and settings, and no secret. */
  readonly message: string;
}

export type CommandOutcome = { readonly kind: 'done'; readonly value: object; readonly isNew?: true } | Refused;

export type Method = 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';

export interface ManagementCommand {
  /** As the command line has it: `account set`. */
  readonly name: string;
  readonly method: Method;
  /** Below the admin port: `/v1/accounts/{account}`. What stands in braces is a field of the input. */
  readonly path: string;
  readonly summary: string;
  readonly input: z.ZodObject;
  readonly run: (context: CommandContext, input: unknown) => Promise<CommandOutcome>;
}

/** A row of the table; its work is typed by its input. */
export function command<Input extends z.ZodObject>(row: {
  readonly name: string;
  readonly method: Method;
  readonly path: string;
  readonly summary: string;
  readonly input: Input;
  readonly run: (context: CommandContext, input: z.output<Input>) => Promise<CommandOutcome>;
}): ManagementCommand {
  return { ...row, run: (context, input) => row.run(context, input as z.output<Input>) };
}

export function refuse(code: RefusalCode, message: string): Refused {
  return { kind: 'refused', code, message };
}

export const done = (value: object): CommandOutcome => ({ kind: 'done', value });
export const made = (value: object): CommandOutcome => ({ kind: 'done', value, isNew: true });

/** How what any change of an account may end with is told. */
export function refusalOf(
  kind: 'account-not-found' | 'container-not-found' | 'no-space' | 'contended',
  at: { readonly account?: string; readonly container?: string },
): Refused {
  switch (kind) {
    case 'account-not-found':
      return refuse('AccountNotFound', `there is no account ${at.account}`);
    case 'container-not-found':
      return refuse('ContainerNotFound', `there is no container ${at.container} in the account ${at.account}`);
    case 'no-space':
      return refuse('DiskFull', 'the disk of the server is full');
    case 'contended':
      return refuse('Busy', 'too many changes at once: try again');
  }
}

export const isoTime = (ms: number): string => new Date(ms).toISOString();

// Fields that many commands have.

export const accountField = z
  .string('must be the name of an account')
  .regex(/^[a-z0-9]{3,24}$/, 'the name of an account must be 3 to 24 lower-case letters and digits');

/** "Naming and referencing containers": also the ones with a name of their own. */
export const containerField = z
  .string('must be the name of a container')
  .regex(
    /^(?:\$root|\$web|\$logs|\$blobchangefeed|(?=.{3,63}$)[a-z0-9]+(?:-[a-z0-9]+)*)$/,
    'the name of a container must be 3 to 63 lower-case letters, digits and single hyphens',
  );

export const objectIdField = z
  .string('must be an object id')
  .regex(/^[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$/, 'must be an object id (a GUID)');

export const scopeField = z
  .string('must be the name of an encryption scope')
  .regex(
    /^(?=.{3,63}$)[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*$/,
    'the name of an encryption scope must be 3 to 63 letters, digits and single hyphens',
  );

export const wholeField = (min: number, max: number) => {
  const message = `must be a whole number from ${min} to ${max}`;
  return z.int(message).min(min, message).max(max, message);
};

export const switchField = z.boolean('must be true or false');

/** A page of a list; the query of a GET is text. */
export const pageFields = {
  from: z.string().max(1024).optional(),
  limit: z.preprocess(
    (limit) => (typeof limit === 'string' && /^\d{1,6}$/.test(limit) ? Number(limit) : limit),
    wholeField(1, 1000).default(500),
  ),
} as const;

/** `items` holds one more than the page, if there are more: where the next one begins. */
export function page<T>(
  items: readonly T[],
  limit: number,
  nameOf: (item: T) => string,
): { items: T[]; next?: string } {
  const beyond = items[limit];
  return { items: items.slice(0, limit), ...(beyond !== undefined && { next: nameOf(beyond) }) };
}
