// Get and Set Blob Service Properties. A set keeps what its body does not name.
import { readXml } from '../../codec/xml-read.ts';
import { changeAccount, getAccount } from '../../namespace/accounts.ts';
import type { Answer } from '../http/answer.ts';
import type { Call } from './call.ts';
import { BlobError, failureError } from './errors.ts';
import { type BlobService, blobServiceOf } from './service-record.ts';
import { readBlobService, writeBlobService } from './service-xml.ts';

const bodyBytesMax = 64 * 1024;

export async function getServiceProperties(call: Call): Promise<Answer> {
  const service = await stored(call);
  return { status: 200, headers: { 'Content-Type': 'application/xml' }, body: writeBlobService(service) };
}

export async function setServiceProperties(call: Call): Promise<Answer> {
  const body = await call.body.whole(bodyBytesMax);
  if (body === undefined) throw new BlobError('RequestBodyTooLarge', { MaxLimit: `${bodyBytesMax}` });
  const parsed = readXml(body, bodyBytesMax);
  if (parsed.kind !== 'ok') throw new BlobError('InvalidXmlDocument');
  const blobService = { ...(await stored(call)), ...readBlobService(parsed.root) };
  const outcome = await changeAccount(call.store, call.target.account, { blobService }, call.cause);
  if (outcome.kind !== 'ok') throw failureError(outcome);
  return { status: 202, headers: {} };
}

async function stored(call: Call): Promise<BlobService> {
  const account = await getAccount(call.store, call.target.account);
  if (account === undefined) throw failureError({ kind: 'account-not-found' });
  return blobServiceOf(account.blobService);
}
