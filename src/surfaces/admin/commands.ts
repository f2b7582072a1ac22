// The table of all management commands, and the one way to run one: for the REST API and for the control socket alike.
import type { z } from 'zod';
import { accessCheck } from './access-check.ts';
import { accessCommands } from './access-commands.ts';
import { accountCommands } from './account-commands.ts';
import { type CommandContext, type CommandOutcome, type ManagementCommand, refuse } from './command.ts';
import { containerCommands } from './container-commands.ts';
import { sasCreate } from './sas-commands.ts';
import { scopeCommands } from './scope-commands.ts';
import { tokenCommands } from './token-commands.ts';

export const managementCommands: readonly ManagementCommand[] = [
  ...accountCommands,
  ...accessCommands,
  accessCheck,
  ...containerCommands,
  sasCreate,
  ...scopeCommands,
  ...tokenCommands,
];

const byName = new Map(managementCommands.map((row) => [row.name, row]));

export async function runCommand(context: CommandContext, name: string, input: unknown): Promise<CommandOutcome> {
  const found = byName.get(name);
  if (found === undefined) return refuse('CommandNotFound', 'the server does not know the command');
  return runRow(context, found, input);
}

export async function runRow(context: CommandContext, row: ManagementCommand, input: unknown): Promise<CommandOutcome> {
  const parsed = row.input.safeParse(input);
  return parsed.success ? row.run(context, parsed.data) : refuse('InvalidInput', messageOf(parsed.error));
}

const messageMax = 300;

/** One short line about the first mistake. It names fields, and repeats no value. */
function messageOf(error: z.ZodError): string {
  const issue = error.issues[0];
  if (issue === undefined) return 'is not valid';
  if (issue.code === 'unrecognized_keys') {
    const [field = ''] = issue.keys;
    return /^[\w-]{1,60}$/.test(field) ? `${field}: there is no such field` : 'there is a field that is not known';
  }
  const path = issue.path.map(String).join('.');
  return (path === '' ? issue.message : `${path}: ${issue.message}`).slice(0, messageMax);
}
