// How a command says no: one line on stderr and an exit code, with `--json` one object instead.
import type { Usage } from './arguments.ts';
import { exitCode, type Surroundings } from './contract.ts';

/** A mistake in the words or in a setting. */
export function refuse({ message }: Usage, surroundings: Surroundings): number {
  tell({ code: 'InvalidInput', message }, surroundings);
  return exitCode.usage;
}

export interface Trouble {
  readonly code: string;
  readonly message: string;
  /** What to do next, where that is known. */
  readonly hint?: string | undefined;
}

export function fail(trouble: Trouble, surroundings: Surroundings): number {
  tell(trouble, surroundings);
  return exitCode.failed;
}

function tell({ code, message, hint }: Trouble, { err, json }: Surroundings): void {
  if (json === true) {
    err(JSON.stringify({ error: { code, message, ...(hint !== undefined && { hint }) } }));
    return;
  }
  err(`causeway: ${message}`);
  if (hint !== undefined) err(`hint: ${hint}`);
}

/** What a command has to say: one object with `--json`, lines otherwise. */
export function say({ out, json }: Surroundings, value: object, lines: () => readonly string[]): void {
  if (json === true) out(JSON.stringify(value, undefined, 2));
  else for (const line of lines()) out(line);
}
