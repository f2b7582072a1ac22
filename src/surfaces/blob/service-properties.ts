// Get and Set Blob Service Properties. A set keeps what its body does not name.
import { readXml } from '../../codec/xml-read.ts';
import { changeSettings } from '../../namespace/account-settings.ts';
import { changeAccount, getAccount } from '../../namespace/accounts.ts';
import { createContainer } from '../../namespace/containers.ts';
import type { Answer } from '../http/answer.ts';
import type { Call } from './call.ts';
import { BlobError, failureError } from './errors.ts';
import { type BlobService, blobServiceOf, type DeleteRetention } from './service-record.ts';
import { readBlobService, writeBlobService } from './service-xml.ts';

const bodyBytesMax = 64 * 1024;

export async function getServiceProperties(call: Call): Promise<Answer> {
  const service = await stored(call);
  return { status: 200, headers: { 'Content-Type': 'application/xml' }, body: writeBlobService(service, call.version) };
}

export async function setServiceProperties(call: Call): Promise<Answer> {
  const body = await call.body.whole(bodyBytesMax);
  if (body === undefined) throw new BlobError('RequestBodyTooLarge', { MaxLimit: `${bodyBytesMax}` });
  const parsed = readXml(body, bodyBytesMax);
  if (parsed.kind !== 'ok') throw new BlobError('InvalidXmlDocument');
  const given = readBlobService(parsed.root, call.version);
  const { deleteRetention, ...blobService } = { ...(await stored(call)), ...given };
  const outcome = await changeAccount(call.store, call.target.account, { blobService }, call.cause);
  if (outcome.kind !== 'ok') throw failureError(outcome);
  if (given.deleteRetention !== undefined) await setRetention(call, deleteRetention);
  if (given.staticWebsite?.enabled) await makeWebsiteContainer(call);
  return { status: 202, headers: {} };
}

/** "Static website hosting": switching it on creates the container that it is read from. */
async function makeWebsiteContainer({ store, target: { account }, cause }: Call): Promise<void> {
  const name = { account, container: '$web' };
  const outcome = await createContainer(store, { ...name, metadata: {}, publicAccess: 'none', cause });
  if (outcome.kind !== 'ok' && outcome.kind !== 'container-exists') throw failureError(outcome);
}

/** How long deleted blobs are kept is a setting of the account, whoever sets it. */
async function setRetention(call: Call, { enabled, days, allowPermanentDelete }: DeleteRetention): Promise<void> {
  const changes = { softDeleteDays: enabled ? (days ?? 0) : null, permanentDelete: allowPermanentDelete ?? null };
  const outcome = await changeSettings(call.store, call.target.account, changes, call.cause);
  if (outcome.kind === 'settings-conflict') throw new BlobError('InvalidXmlDocument', { Reason: outcome.message });
  if (outcome.kind !== 'ok') throw failureError(outcome);
}

async function stored(call: Call): Promise<BlobService> {
  const account = await getAccount(call.store, call.target.account);
  if (account === undefined) throw failureError({ kind: 'account-not-found' });
  const { softDeleteDays: days = 0, permanentDelete } = account.settings ?? {};
  const deleteRetention = {
    enabled: days > 0,
    ...(days > 0 && { days }),
    ...(permanentDelete !== undefined && { allowPermanentDelete: permanentDelete }),
  };
  return { ...blobServiceOf(account.blobService), deleteRetention };
}
