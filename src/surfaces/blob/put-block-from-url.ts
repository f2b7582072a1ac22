// Put Block From URL: a block that is a range of another blob, shared with it, or brought from another server.
import { type CopySource, stageRange } from '../../namespace/copy.ts';
import { isSameEncryption, type Sealing } from '../../namespace/scopes.ts';
import { mayStage, type StageBlock, stageBlock } from '../../namespace/uploads.ts';
import type { Answer } from '../http/answer.ts';
import type { BlobCall } from './call.ts';
import { sealed, writeSealing } from './encryption-headers.ts';
import { BlobError, failureError } from './errors.ts';
import { type OutHeaders, writtenHeaders } from './headers-out.ts';
import { stageCommand } from './put-block.ts';
import { openRemote } from './remote-source.ts';
import { checkSums, copySource, sharesSeal, sourceBody, sourceError, sourceSums } from './source.ts';
import type { RemoteAddress } from './source-address.ts';
import { localRange, sourceRange } from './source-range.ts';
import { askedSumHeaders } from './upload-body.ts';
import { bytesMax } from './version-differences.ts';

export async function putBlockFromUrl(call: BlobCall): Promise<Answer> {
  const command = stageCommand(call);
  const found = await copySource(call, false);
  const sealing = await writeSealing(call);
  const sealedCommand = { ...command, ...sealed(sealing) };
  const sums =
    found.kind === 'remote'
      ? await stageRemote(call, sealedCommand, found.address, sealing)
      : await stageLocal(call, sealedCommand, found.source, sealing);
  return { status: 201, headers: { ...sums, ...writtenHeaders(sealing?.encryption) } };
}

async function stageLocal(
  call: BlobCall,
  command: StageBlock,
  wanted: CopySource,
  sealing: Sealing | undefined,
): Promise<OutHeaders> {
  const {
    entry,
    offset: start,
    length,
    unsealer,
  } = await localRange(call, wanted, { lengthMax: bytesMax('block', call.version) });
  const source: CopySource = { ...wanted, conditions: { ifMatch: entry.record.etag } };
  const sums = sourceSums(call);
  // All blocks of a blob are sealed alike, so here a scope of the source's does not come along by itself.
  if (
    entry.record.type === 'page' ||
    !isSameEncryption(entry.record.encryption, sealing?.encryption) ||
    !sharesSeal(call, wanted, entry.record.encryption, sealing)
  ) {
    const staged = await call.hold((gone) => {
      const body = { ...sourceBody(call, entry, { offset: start, length }, unsealer, sealing, gone), ...sums };
      return stageBlock(call.store, { ...command, body });
    });
    if (staged.kind !== 'ok') throw failureError(staged);
    return askedSumHeaders(call, { md5: sums.md5, crc64: staged.crc64 });
  }
  const { md5, crc64 } = await call.hold((gone) => checkSums(call, entry, start, length, sums, unsealer, gone));
  const outcome = await stageRange(call.store, { ...command, source, offset: start, length });
  if (outcome.kind === 'source-failed') throw sourceError(outcome.failure);
  if (outcome.kind === 'inline') {
    // Bytes that ride in the source's record have no extent to share: they are staged as a body.
    const chunks = (async function* () {
      yield outcome.bytes;
    })();
    const body = { chunks, length: outcome.bytes.length, lengthMax: outcome.bytes.length, wantMd5: false };
    const staged = await stageBlock(call.store, { ...command, body });
    if (staged.kind !== 'ok') throw failureError(staged);
  } else if (outcome.kind !== 'ok') throw failureError(outcome);
  return askedSumHeaders(call, { md5, crc64 });
}

async function stageRemote(
  call: BlobCall,
  command: StageBlock,
  address: RemoteAddress,
  sealing: Sealing | undefined,
): Promise<OutHeaders> {
  const range = sourceRange(call);
  const sums = sourceSums(call);
  // Looked at again when the block is staged; before, it spares bringing what could not be.
  const allowed = await mayStage(call.store, command);
  if (allowed.kind !== 'ok') throw failureError(allowed);
  return await call.hold(async (gone) => {
    using source = await openRemote(call, address, { range, lengthMax: bytesMax('block', call.version) }, gone);
    const { chunks, length } = source;
    if (length === 0) throw new BlobError('InvalidRange');
    const body = { chunks, length, lengthMax: length, wantMd5: false, ...sums, seal: sealing?.sealer };
    const staged = await stageBlock(call.store, { ...command, body });
    if (staged.kind !== 'ok') throw failureError(staged);
    return askedSumHeaders(call, { md5: sums.md5, crc64: staged.crc64 });
  });
}
