// Get Block List: committed and staged blocks of a blob.
import { escapeXml } from '../../codec/xml-write.ts';
import { getBlockLists } from '../../namespace/uploads.ts';
import type { Answer } from '../http/answer.ts';
import { blobChange } from './blob-change.ts';
import type { BlobCall } from './call.ts';
import { BlobError, failureError } from './errors.ts';
import { stamp } from './headers-out.ts';
import { one } from './request.ts';

export async function getBlockList(call: BlobCall): Promise<Answer> {
  const type = (one(call.query, 'blocklisttype') ?? 'committed').toLowerCase();
  if (type !== 'committed' && type !== 'uncommitted' && type !== 'all') {
    throw new BlobError('InvalidQueryParameterValue', {
      QueryParameterName: 'blocklisttype',
      QueryParameterValue: type,
    });
  }
  const access = blobChange(call, true);
  const outcome = await getBlockLists(call.store, access);
  if (outcome.kind !== 'ok') throw failureError(outcome);
  const { entry, committed } = outcome;
  const isPast = access.at !== undefined;
  // A blob that has staged blocks only has no committed list to give.
  if (entry === undefined && (type === 'committed' || isPast)) throw new BlobError('BlobNotFound');
  // Blocks are staged for the blob as it is to be, never for what it was.
  const uncommitted = isPast ? [] : outcome.uncommitted;
  let xml = '<?xml version="1.0" encoding="utf-8"?><BlockList>';
  if (type !== 'uncommitted')
    xml += list(
      'CommittedBlocks',
      committed.map(([id, length]) => ({ id, length })),
    );
  if (type !== 'committed') xml += list('UncommittedBlocks', uncommitted);
  return {
    status: 200,
    headers: {
      ...(entry && { ...stamp(entry.record), 'x-ms-blob-content-length': entry.record.length }),
      'Content-Type': 'application/xml',
    },
    body: `${xml}</BlockList>`,
  };
}

function list(name: string, blocks: readonly { readonly id: string; readonly length: number }[]): string {
  if (blocks.length === 0) return `<${name} />`;
  let xml = `<${name}>`;
  for (const { id, length } of blocks) xml += `<Block><Name>${escapeXml(id)}</Name><Size>${length}</Size></Block>`;
  return `${xml}</${name}>`;
}
