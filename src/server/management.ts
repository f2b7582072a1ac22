// Management commands in the primary: for the control socket, for a command line without a server, and for the admin API.
import { randomUUID } from 'node:crypto';
import type { Logger } from '../base/log.ts';
import type { ManagementAnswer } from '../cli/contract.ts';
import { verifyAdminToken } from '../namespace/admin-tokens.ts';
import { isDamage, isOutcomeUnknown, type Store } from '../namespace/store.ts';
import type { AdminSources } from '../surfaces/admin/admin.ts';
import { runCommand, runRow } from '../surfaces/admin/commands.ts';
import { type ControlRequest, outcomeUnknown } from './control.ts';

/** Loaded only for who asks: the primary serves no blobs. */
async function actionOf(wanted: string): Promise<string | undefined> {
  const { operations } = await import('../surfaces/blob/operations.ts');
  const found = operations.find(({ name }) => name.toLowerCase() === wanted.toLowerCase());
  // Of an operation whose action depends on the request: what it needs without anything special.
  return typeof found?.action === 'function'
    ? found.action({ headers: {}, query: new Map() } as unknown as Parameters<typeof found.action>[0])
    : found?.action;
}

/** `blob` is the address of the Blob API as clients reach it, or would. */
export async function runForCommandLine(
  store: Store,
  { command, input }: ControlRequest,
  blob: string,
): Promise<ManagementAnswer> {
  const cause = { by: `causeway ${command}`, requestId: randomUUID() };
  const outcome = await runCommand({ store, cause, blob, actionOf }, command, input);
  return outcome.kind === 'refused' ? outcome : { kind: 'done', value: outcome.value };
}

/** The same for the control socket of a server: what fails there is told, and noted in the log. */
export async function runForControl(
  store: Store,
  logger: Logger,
  request: ControlRequest,
  blob: string,
): Promise<ManagementAnswer> {
  const command = /^[a-z][a-z -]{0,40}$/.test(request.command) ? request.command : 'unknown';
  try {
    const answer = await runForCommandLine(store, request, blob);
    logger.info({ command, ...(answer.kind === 'refused' && { errorCode: answer.code }) }, 'management command');
    return answer;
  } catch (error) {
    logger.error({ err: error, command }, 'a management command failed');
    if (isOutcomeUnknown(error)) return outcomeUnknown;
    const message = isDamage(error)
      ? 'stored data is damaged: run causeway fsck'
      : "the server failed: see the server's log";
    return { kind: 'refused', code: 'InternalError', message };
  }
}

export function managementSources(
  store: Store,
  logger: Logger,
  blob: () => string,
): Omit<AdminSources, 'hosts' | 'problems' | 'metrics'> {
  return {
    clock: store.clock,
    verifyToken: (token) => verifyAdminToken(store, token),
    run: (row, input, cause) => runRow({ store, cause, blob: blob(), actionOf }, row, input),
    note: (request) => logger.info(request, 'admin request'),
    failed: (error, requestId) => logger.error({ err: error, requestId }, 'an admin request failed'),
  };
}
