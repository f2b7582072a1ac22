// How a command says no: one line on stderr and an exit code.
import type { Usage } from './arguments.ts';
import { exitCode, type Surroundings } from './contract.ts';

export function refuse({ message }: Usage, { err }: Surroundings): number {
  err(`causeway: ${message}`);
  return exitCode.usage;
}

export function fail(message: string, { err }: Surroundings): number {
  err(`causeway: ${message}`);
  return exitCode.failed;
}
