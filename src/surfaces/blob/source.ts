// Sources of copies: finding them, reading them, and how their failures are told from the target's.
import { createHash } from 'node:crypto';
import { crc64 as crc64Of } from '../../codec/crc64.ts';
import { type CopySource, readSource } from '../../namespace/copy.ts';
import type { Failure } from '../../namespace/failure.ts';
import type { Body } from '../../namespace/ingest.ts';
import { readContent } from '../../namespace/read.ts';
import type { ContentHeaders, Entry, EntryEncryption, EntryType } from '../../namespace/records.ts';
import { isSameEncryption, type Sealing, type Unsealer } from '../../namespace/scopes.ts';
import { BodyCutError } from '../http/body.ts';
import type { BlobCall } from './call.ts';
import { readUnsealer } from './encryption-headers.ts';
import { BlobError, failureError } from './errors.ts';
import { crc64, headerError, leaseId, md5, readConditions, required } from './headers-in.ts';
import type { RemoteAddress } from './source-address.ts';
import { isBefore } from './version-differences.ts';

/** What a copy may take from its source. A record has it; of a source elsewhere it is gathered from answers. */
export interface Copied {
  readonly type: EntryType;
  readonly sequence?: number;
  readonly appendedBlocks?: number;
  readonly isSealed?: true;
  readonly length: number;
  readonly headers: ContentHeaders;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tier?: string;
  readonly tags?: Readonly<Record<string, string>>;
}

export type FoundSource =
  | { readonly kind: 'local'; readonly source: CopySource }
  | { readonly kind: 'remote'; readonly address: RemoteAddress };

/**
 * What the request copies from. Copy Blob may read with the caller's own key; the operations "From URL" read as anybody
 * would who has the address and nothing else.
 */
export async function copySource(call: BlobCall, withOwnKey: boolean): Promise<FoundSource> {
  const url = required(call.headers, 'x-ms-copy-source');
  const authorization = call.headers['x-ms-copy-source-authorization'];
  // The value is a secret: it is not repeated.
  if (authorization !== undefined && !/^Bearer [\x21-\x7e]+$/i.test(authorization)) {
    throw headerError('x-ms-copy-source-authorization', 'not a bearer token');
  }
  const found = await call.openSource(url, withOwnKey);
  if (found.kind === 'remote') return found;
  const { account, container, blob: name, at, permit } = found;
  const given = readConditions(call.headers, 'x-ms-source-');
  const lease = isBefore(call.version, 'sourceLease') ? leaseId(call.headers, 'x-ms-source-lease-id') : undefined;
  const source = {
    ...{ account, container, name, conditions: given, permit },
    ...(at && { at }),
    ...(lease !== undefined && { lease: { id: lease, atMs: call.nowMs } }),
  };
  return { kind: 'local', source };
}

export const notAuthenticated =
  'Server failed to authenticate the request. Please refer to the information in the www-authenticate header.';

export const notVerified = 'Could not verify the copy source within the specified time.';

export async function sourceOf(call: BlobCall, source: CopySource, act: 'read' | 'copy-from'): Promise<Entry> {
  const found = await call.store.engine.snapshot((view) => readSource(view, source, act));
  if (found.kind !== 'ok') throw sourceError(found);
  return found.entry;
}

/** The failure as it is told to whoever reads the source through its address. */
export function sourceError(failure: Failure): BlobError {
  const error = failureError(failure);
  if (failure.kind !== 'not-modified') return cannotVerifySource(error);
  return cannotVerifySource(new BlobError('ConditionNotMet', {}, undefined, {}, 304));
}

/** What a source answers a reader, or would have, in the terms of the copy's own answer ("Put Block From URL"). */
export function cannotVerifySource(
  answer: { readonly status: number; readonly errorCode: string | undefined; readonly message: string },
  ownStatus = answer.status,
): BlobError {
  const { errorCode, message } = answer;
  const status = `${answer.status}`;
  return new BlobError(
    'CannotVerifyCopySource',
    {
      CopySourceStatusCode: status,
      ...(errorCode !== undefined && { CopySourceErrorCode: errorCode }),
      CopySourceErrorMessage: message,
    },
    message,
    {
      'x-ms-copy-source-status-code': status,
      ...(errorCode !== undefined && { 'x-ms-copy-source-error-code': errorCode }),
    },
    ownStatus,
  );
}

const partsOnly: ReadonlySet<string> = new Set(['PutBlockFromUrl', 'AppendBlockFromUrl', 'PutPageFromUrl']);

/**
 * How a failure of a source is told by the operation of this name. A copy passes the source's own message on (azure-cli
 * #15722, rclone #8694, azure-sdk-for-net #32028); what brings a part does so where the source is missing, and says of
 * anything else only that it cannot be verified (recorded).
 */
export function asToldBy(operation: string, error: BlobError): BlobError {
  const { errorCode, details, headers, status } = error;
  const isOfSource = errorCode === 'CannotVerifyCopySource' && details.CopySourceStatusCode !== undefined;
  if (!isOfSource || !partsOnly.has(operation) || details.CopySourceStatusCode === '404') return error;
  return new BlobError(errorCode, details, notVerified, headers, status);
}

/** The sums that the source's bytes are expected to have. */
export interface SourceSums {
  readonly md5?: Buffer;
  readonly crc64?: bigint;
}

/** At most one of them may be given. */
export function sourceSums(call: BlobCall): SourceSums {
  const givenMd5 = md5(call.headers, 'x-ms-source-content-md5');
  const givenCrc64 = crc64(call.headers, 'x-ms-source-content-crc64');
  if (givenMd5 !== undefined && givenCrc64 !== undefined) throw new BlobError('BothCrc64AndMd5HeaderPresent');
  return { ...(givenMd5 && { md5: givenMd5 }), ...(givenCrc64 !== undefined && { crc64: givenCrc64 }) };
}

/** Sums a range of a source that lies here, and throws unless the sums are those that are expected. */
export async function checkSums(
  call: BlobCall,
  entry: Entry,
  offset: number,
  length: number,
  expected: SourceSums,
  unsealer: Unsealer | undefined,
  gone: AbortSignal,
): Promise<{ readonly md5: Buffer | undefined; readonly crc64: bigint }> {
  const hash = expected.md5 && createHash('md5');
  let crc = 0n;
  for await (const chunk of whileThere(readContent(call.store, entry, offset, length, unsealer), gone)) {
    hash?.update(chunk.bytes);
    crc = crc64Of(chunk.bytes, crc);
    chunk.release();
  }
  const computed = hash?.digest();
  if (expected.md5 !== undefined && computed !== undefined && !computed.equals(expected.md5)) {
    throw failureError({ kind: 'md5-mismatch', given: expected.md5, computed });
  }
  if (expected.crc64 !== undefined && expected.crc64 !== crc) {
    throw failureError({ kind: 'crc64-mismatch', given: expected.crc64, computed: crc });
  }
  return { md5: computed, crc64: crc };
}

/** What opens a source for its reader; without the key that it needs it cannot be read. */
export function sourceUnsealer(call: BlobCall, entry: Entry): Unsealer | undefined {
  try {
    return readUnsealer(call, entry.record.encryption, 'source');
  } catch (error) {
    throw error instanceof BlobError && error.status === 409 ? cannotVerifySource(error) : error;
  }
}

/**
 * Whether a target may have the source's own pieces, or needs bytes of its own: sealed for it, or not at all. A target
 * that asks for nothing keeps a source's scope, as long as that is of its own account.
 */
export function sharesSeal(
  call: BlobCall,
  source: CopySource,
  encryption: EntryEncryption | undefined,
  sealing: Sealing | undefined,
): boolean {
  if (sealing !== undefined || encryption === undefined || encryption.keySha256 !== undefined) {
    const isOwn = encryption?.scope === undefined || source.account === call.target.account;
    return isOwn && isSameEncryption(encryption, sealing?.encryption);
  }
  return source.account === call.target.account;
}

/** Work for a client that went away, or that had its time, ends here. */
export async function* whileThere<T>(items: AsyncIterable<T>, gone: AbortSignal): AsyncGenerator<T, void, undefined> {
  for await (const item of items) {
    if (gone.aborted) throw new BodyCutError('The request ended before its work was done.');
    yield item;
  }
}

/** A range of a source as a body of the target. */
export function sourceBody(
  call: BlobCall,
  entry: Entry,
  range: { readonly offset: number; readonly length: number },
  unsealer: Unsealer | undefined,
  sealing: Sealing | undefined,
  gone: AbortSignal,
): Body {
  const { offset, length } = range;
  const chunks = (async function* () {
    for await (const chunk of whileThere(readContent(call.store, entry, offset, length, unsealer), gone)) {
      // The window that it lies in is used again.
      const bytes = Buffer.from(chunk.bytes);
      chunk.release();
      yield bytes;
    }
  })();
  return { chunks, ownsChunks: true, length, lengthMax: length, wantMd5: false, seal: sealing?.sealer };
}
