// Set Blob Expiry: of accounts with a hierarchical namespace only.
import type { Answer } from '../http/answer.ts';
import { BlobError } from './errors.ts';

/** Whether the blob is there is not looked at: by this answer clients find out what kind of account it is. */
export async function setBlobExpiry(): Promise<Answer> {
  throw new BlobError('HierarchicalNamespaceNotEnabled');
}
