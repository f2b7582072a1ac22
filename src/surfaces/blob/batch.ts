// Blob Batch: up to 256 deletes, or up to 256 changes of tier, each with a credential and an outcome of its own.
import { randomUUID } from 'node:crypto';
import type { Answer } from '../http/answer.ts';
import { type AnsweredPart, boundaryOf, formatBatch, type ParsedPart, parseBatch } from './batch-body.ts';
import type { Call } from './call.ts';
import { BlobError } from './errors.ts';
import { headerError, required } from './headers-in.ts';
import { one, parseQuery, parseTarget } from './request.ts';

const bodyBytesMax = 4 * 1024 * 1024;
const atOnceMax = 32;

export async function batch(call: Call): Promise<Answer> {
  const contentType = required(call.headers, 'content-type');
  const boundary = boundaryOf(contentType);
  if (boundary === undefined) throw headerError('Content-Type', contentType);
  const body = await call.body.whole(bodyBytesMax);
  if (body === undefined) throw new BlobError('RequestBodyTooLarge', { MaxLimit: `${bodyBytesMax}` });
  const parsed = parseBatch(body.toString('utf8'), boundary);
  if (parsed.kind === 'too-many') throw new BlobError('ExceedsMaxBatchRequestCount');
  if (parsed.kind === 'malformed') throw new BlobError('InvalidInput', { Reason: parsed.reason });
  checkParts(call, parsed.parts);
  const answered = await runParts(call, parsed.parts);
  const outBoundary = `batchresponse_${randomUUID()}`;
  return {
    status: 202,
    headers: { 'Content-Type': `multipart/mixed; boundary=${outBoundary}` },
    body: formatBatch(answered, outBoundary),
  };
}

/** Some at a time: their transactions share commits, and one batch does not take the whole server. */
async function runParts(call: Call, parts: readonly ParsedPart[]): Promise<AnsweredPart[]> {
  const answered: AnsweredPart[] = [];
  let next = 0;
  const runner = async (): Promise<void> => {
    while (next < parts.length) {
      const at = next++;
      const part = parts[at] as ParsedPart;
      answered[at] = { contentId: part.contentId, answer: await call.runPart(part) };
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnceMax, parts.length) }, runner));
  return answered;
}

/** All of one kind, on blobs of this account, and of this container where the batch is sent to one. */
function checkParts(call: Call, parts: readonly ParsedPart[]): void {
  const kinds = new Set<string | undefined>();
  for (const part of parts) {
    const question = part.url.indexOf('?');
    const path = question === -1 ? part.url : part.url.slice(0, question);
    const query = parseQuery(question === -1 ? '' : part.url.slice(question + 1));
    const target = parseTarget(path, call.headers.host, query);
    const comp = one(query, 'comp')?.toLowerCase();
    kinds.add(kindOf(part.method, comp));
    const { account, container } = call.target;
    if (target.blob === undefined || target.account !== account) throw new BlobError('InvalidInput');
    if (container !== undefined && target.container !== container) throw new BlobError('InvalidInput');
  }
  if (kinds.has(undefined) || kinds.size > 1) {
    throw new BlobError('InvalidInput', { Reason: 'A batch holds deletes of blobs, or changes of tier, of one kind.' });
  }
}

function kindOf(method: string, comp: string | undefined): string | undefined {
  if (method === 'DELETE' && comp === undefined) return 'delete';
  return method === 'PUT' && comp === 'tier' ? 'tier' : undefined;
}
