// Names of containers and blobs (Azure: "Naming and Referencing Containers, Blobs, and Metadata").
import type { Action } from '../../identity/authorize.ts';
import { isSystemContainer } from '../../namespace/accounts.ts';
import { BlobError } from './errors.ts';

const containerName = /^[a-z0-9](?:-?[a-z0-9])*$/;
const specialContainers: ReadonlySet<string> = new Set(['$root', '$web', '$logs']);
const blobNameCharactersMax = 1024;
const segmentsMax = 254;

const readingActions: ReadonlySet<Action> = new Set([
  'service/info',
  // Each part of a batch is looked at by itself.
  'service/batch',
  'container/read',
  'container/list',
  'container/filter',
  'container/acl',
  'blob/read',
  'blob/tags-read',
]);

/** Refuses what would change a container that is the server's own, whoever asks. */
export function checkMayChange(container: string | undefined, action: Action): void {
  if (container === undefined || !isSystemContainer(container) || readingActions.has(action)) return;
  // Logs may be deleted before their time, as in Azure; nobody else writes any.
  if (container === '$logs' && action === 'blob/delete') return;
  throw new BlobError('InsufficientAccountPermissions');
}

/** Refuses a name that no container can have. */
export function checkContainerName(name: string): void {
  if (specialContainers.has(name)) return;
  if (name.length < 3 || name.length > 63) {
    throw new BlobError(
      'OutOfRangeInput',
      {},
      'The specified resource name length is not within the permissible limits.',
    );
  }
  if (!containerName.test(name)) throw new BlobError('InvalidResourceName');
}

/** Refuses a name that no blob can have; NUL is the one character that the namespace keeps for itself. */
export function checkBlobName(name: string): void {
  if (name.length > blobNameCharactersMax) {
    throw new BlobError(
      'OutOfRangeInput',
      {},
      'The specified resource name length is not within the permissible limits.',
    );
  }
  if (name.includes('\0') || !name.isWellFormed()) throw new BlobError('InvalidUri');
  let segments = 1;
  for (let i = name.indexOf('/'); i !== -1; i = name.indexOf('/', i + 1)) segments++;
  if (segments > segmentsMax) throw new BlobError('InvalidUri');
}
