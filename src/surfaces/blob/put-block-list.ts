// Put Block List: the blob becomes the listed blocks, in their order.
import { readXml, type XmlElement } from '../../codec/xml-read.ts';
import type { EntryChange } from '../../namespace/entries.ts';
import { commitBlocks, type ListedBlock } from '../../namespace/uploads.ts';
import type { Answer } from '../http/answer.ts';
import { blobChange } from './blob-change.ts';
import type { BlobCall } from './call.ts';
import { namedEncryption } from './encryption-headers.ts';
import { BlobError, failureError } from './errors.ts';
import { contentHeaders, contentLength, metadata } from './headers-in.ts';
import { versionStamp, writtenHeaders } from './headers-out.ts';
import { answersMd5, checkSums, sumHeaders } from './upload-body.ts';
import { isBefore } from './version-differences.ts';
import { writeAttributes } from './write-attributes.ts';

/** 50,000 blocks of at most 88 base64 digits, with their elements. */
const listBytesMax = 8 * 1024 * 1024;
// More than any list may have, so that one block too many gets the answer that says so.
const elementsMax = 60_000;

export async function putBlockList(call: BlobCall): Promise<Answer> {
  const { headers } = call;
  contentLength(headers);
  const text = await call.body.whole(listBytesMax);
  if (text === undefined) throw new BlobError('RequestBodyTooLarge');
  const sums = checkSums(call.headers, text, answersMd5(call));
  const command = {
    ...listChange(call),
    onlyIfNew: call.allowed.onlyIfNew,
    blocks: parseBlockList(text),
    attributes: {
      headers: contentHeaders(headers, false),
      metadata: metadata(call.rawHeaders),
      ...writeAttributes(call),
      ...(await namedEncryption(call)),
    },
  };
  // A long list takes its time, in which its client has nothing to send.
  const outcome = await call.hold(() => commitBlocks(call.store, command));
  if (outcome.kind !== 'ok') throw failureError(outcome);
  return {
    status: 201,
    headers: {
      ...versionStamp(outcome.entry.record),
      // Both are of the list itself, not of the blob's content.
      ...sumHeaders(sums),
      ...writtenHeaders(outcome.entry.record.encryption),
    },
  };
}

/** Under older versions blocks that wait for their list are a blob that has some ETag. */
function listChange(call: BlobCall): EntryChange {
  const change = blobChange(call);
  if (change.conditions.ifMatch !== '*' || !isBefore(call.version, 'anyEtagStaged')) return change;
  const { ifMatch: _, ...conditions } = change.conditions;
  return { ...change, conditions };
}

const kinds: Readonly<Record<string, ListedBlock['from']>> = {
  Committed: 'committed',
  Uncommitted: 'uncommitted',
  Latest: 'latest',
};

function parseBlockList(text: Buffer): ListedBlock[] {
  const parsed = readXml(text, listBytesMax, elementsMax);
  if (parsed.kind !== 'ok') throw new BlobError('InvalidXmlDocument');
  if (parsed.root.name !== 'BlockList') throw new BlobError('InvalidXmlDocument');
  return parsed.root.children.map(blockOf);
}

function blockOf(element: XmlElement): ListedBlock {
  const from = kinds[element.name];
  if (from === undefined) throw new BlobError('InvalidXmlDocument');
  const id = element.text.trim();
  // In the form in which ids are compared: what decodes to nothing is no id of a block.
  const bytes = Buffer.from(id, 'base64');
  if (bytes.length === 0 || bytes.length > 64) throw new BlobError('InvalidBlockList');
  return { id: bytes.toString('base64'), from };
}
