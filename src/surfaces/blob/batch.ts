// Blob Batch: up to 256 deletes, or up to 256 changes of tier, each with a credential and an outcome of its own.
import { randomUUID } from 'node:crypto';
import type { Answer } from '../http/answer.ts';
import { type AnsweredPart, boundaryOf, formatBatch, type ParsedPart, parseBatch } from './batch-body.ts';
import type { Call } from './call.ts';
import { BlobError, errorAnswer } from './errors.ts';
import { headerError, required } from './headers-in.ts';
import { one, parseQuery, parseTarget } from './request.ts';

const bodyBytesMax = 4 * 1024 * 1024;
const atOnceMax = 32;

export async function batch(call: Call): Promise<Answer> {
  const contentType = required(call.headers, 'content-type');
  const body = await call.body.whole(bodyBytesMax);
  if (body === undefined) throw new BlobError('RequestBodyTooLarge', { MaxLimit: `${bodyBytesMax}` });
  const read = partsOf(call, contentType, body);
  const answered = read instanceof BlobError ? [refusedPart(call, read)] : await runParts(call, read);
  const outBoundary = `batchresponse_${randomUUID()}`;
  return {
    status: 202,
    headers: { 'Content-Type': `multipart/mixed; boundary=${outBoundary}` },
    body: formatBatch(answered, outBoundary),
  };
}

/** What is no batch of one kind of request, on blobs of this account, is answered by one part, as the service answers. */
function partsOf(call: Call, contentType: string, body: Buffer): readonly ParsedPart[] | BlobError {
  const boundary = boundaryOf(contentType);
  if (boundary === 'none') return headerError('Content-Type', contentType);
  if (boundary === 'several') return new BlobError('InvalidInput');
  const parsed = parseBatch(body.toString('utf8'), boundary.text);
  if (parsed.kind === 'too-many') return new BlobError('ExceedsMaxBatchRequestCount');
  if (parsed.kind === 'malformed') return new BlobError('InvalidInput', { Reason: parsed.reason });
  try {
    checkParts(call, parsed.parts);
  } catch (error) {
    if (error instanceof BlobError) return error;
    throw error;
  }
  return parsed.parts;
}

function refusedPart({ requestId, nowMs, version, headers }: Call, error: BlobError): AnsweredPart {
  const answer = errorAnswer(error, requestId, nowMs);
  answer.headers['x-ms-request-id'] = requestId;
  answer.headers['x-ms-version'] = version;
  answer.headers['x-ms-client-request-id'] = headers['x-ms-client-request-id'];
  return { contentId: undefined, answer };
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
    throw new BlobError(kinds.has(undefined) ? 'InvalidInput' : 'AllBatchSubRequestsShouldBeSameApi');
  }
}

function kindOf(method: string, comp: string | undefined): string | undefined {
  if (method === 'DELETE' && comp === undefined) return 'delete';
  return method === 'PUT' && comp === 'tier' ? 'tier' : undefined;
}
