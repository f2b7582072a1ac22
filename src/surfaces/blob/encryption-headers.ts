// Encryption in headers: the key or the scope that a request names, what a blob needs to be read, and what answers say.
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Failure } from '../../namespace/failure.ts';
import type { KeyProblem } from '../../namespace/keyring.ts';
import type { ContainerRecord, EntryEncryption } from '../../namespace/records.ts';
import {
  accountKeyScope,
  type CustomerKey,
  chooseSealing,
  customerUnsealer,
  encryptionMismatch,
  isSameEncryption,
  isScopeName,
  type Sealing,
  type Unsealer,
} from '../../namespace/scopes.ts';
import type { BlobCall, Call } from './call.ts';
import { BlobError, type ErrorCode } from './errors.ts';
import { headerError, required } from './headers-in.ts';
import type { Headers } from './request.ts';

const names = {
  own: ['x-ms-encryption-key', 'x-ms-encryption-key-sha256', 'x-ms-encryption-algorithm'],
  source: ['x-ms-source-encryption-key', 'x-ms-source-encryption-key-sha256', 'x-ms-source-encryption-algorithm'],
} as const;

/** "Provide an encryption key on a request to Blob storage": the operations that take one. Elsewhere it is refused. */
const takesKey: ReadonlySet<string> = new Set([
  ...['GetBlob', 'GetBlobProperties', 'GetBlobMetadata', 'SetBlobProperties', 'SetBlobMetadata', 'SnapshotBlob'],
  ...['PutBlob', 'PutBlobFromUrl', 'PutBlock', 'PutBlockFromUrl', 'PutBlockList'],
  ...['AppendBlock', 'AppendBlockFromUrl', 'PutPage', 'PutPageFromUrl', 'QueryBlobContents'],
]);
const takesScope: ReadonlySet<string> = new Set([
  ...['SetBlobProperties', 'SetBlobMetadata', 'SnapshotBlob'],
  ...['PutBlob', 'PutBlobFromUrl', 'CopyBlob', 'CopyBlobFromUrl'],
  ...['PutBlock', 'PutBlockFromUrl', 'PutBlockList', 'AppendBlock', 'AppendBlockFromUrl', 'PutPage', 'PutPageFromUrl'],
]);

/** What would be left undone is refused: somebody who sends a key counts on its being used. */
export function refuseEncryption(operation: string, headers: Headers): void {
  if (isPresent(names.own, headers) && !takesKey.has(operation)) {
    for (const name of names.own) if (headers[name] !== undefined) throw unsupported(name);
  }
  if (isPresent(names.source, headers) && !operation.endsWith('FromUrl')) {
    for (const name of names.source) if (headers[name] !== undefined) throw unsupported(name);
  }
  const scope = 'x-ms-encryption-scope';
  if (headers[scope] !== undefined && !takesScope.has(operation)) throw unsupported(scope);
}

/** The algorithm alone asks for nothing: SDKs of 2019 to 2022 send it with every request. */
function isPresent([key, hash]: (typeof names)[keyof typeof names], headers: Headers): boolean {
  return headers[key] !== undefined || headers[hash] !== undefined;
}

function unsupported(name: string): BlobError {
  return new BlobError('UnsupportedHeader', { HeaderName: name });
}

const loopback = /^(127\.|::1$|::ffff:127\.)/;

/** The customer's own key, or that of a copy's source. What is wrong with it is told without repeating it. */
export function customerKey(
  { headers, peer }: Pick<Call, 'headers' | 'peer'>,
  of: keyof typeof names = 'own',
): CustomerKey | undefined {
  const [keyName, hashName, algorithmName] = names[of];
  const algorithm = headers[algorithmName] ?? 'AES256';
  if (!isPresent(names[of], headers)) return undefined;
  if (peer.protocol !== 'https' && !loopback.test(peer.address)) {
    throw new BlobError('UnsupportedHeader', { HeaderName: keyName }, 'Encryption keys are only taken over HTTPS.');
  }
  const key = Buffer.from(required(headers, keyName), 'base64');
  if (key.length !== 32 || key.toString('base64') !== headers[keyName]) throw headerError(keyName, 'not a 256-bit key');
  const sha256 = required(headers, hashName);
  const given = Buffer.from(sha256, 'base64');
  const computed = createHash('sha256').update(key).digest();
  if (given.length !== computed.length || !timingSafeEqual(given, computed)) throw headerError(hashName, sha256);
  if (algorithm !== 'AES256') throw headerError(algorithmName, algorithm);
  return { key, sha256: computed.toString('base64') };
}

/** The scope that a request names; a signature may do so for whoever has it. */
function namedScope(call: Call): string | undefined {
  const { headers, principal } = call;
  const given = headers['x-ms-encryption-scope'];
  const named = given === undefined || given === '' ? undefined : given;
  if (named !== undefined && named !== accountKeyScope && !isScopeName(named)) {
    throw headerError('x-ms-encryption-scope', named);
  }
  const signed = principal.kind === 'sas' ? principal.grant.encryptionScope : undefined;
  if (signed === undefined) return named;
  const isOther = (named !== undefined && named !== signed) || headers['x-ms-encryption-key'] !== undefined;
  if (isOther) throw new BlobError('AuthorizationFailure');
  return signed;
}

/** With what a write of this call is to be sealed: `Body.seal` and `EntryAttributes.encryption` come from it. */
export async function writeSealing(call: BlobCall): Promise<Sealing | undefined> {
  const key = customerKey(call);
  const scope = namedScope(call);
  if (key !== undefined && scope !== undefined) throw headerError('x-ms-encryption-scope', scope);
  const outcome = await chooseSealing(call.store, call.target, { scope, customerKey: key });
  switch (outcome.kind) {
    case 'ok':
      return outcome.sealing;
    case 'scope-forbidden':
      throw new BlobError('RequestForbiddenByContainerEncryptionPolicy');
    case 'scope-not-found':
      throw headerError('x-ms-encryption-scope', outcome.scope);
  }
}

/** Of a write that seals nothing itself: what it names, so that it can be compared with what was sealed before. */
export async function namedEncryption(call: BlobCall): Promise<{ readonly encryption?: EntryEncryption }> {
  const names = namedScope(call) !== undefined || customerKey(call) !== undefined;
  return sealed(await writeSealing(call), names);
}

/** The two places of a command that say how it is sealed. */
export function sealed(sealing: Sealing | undefined, isNamed = true): { readonly encryption?: EntryEncryption } {
  return sealing === undefined || !isNamed ? {} : { encryption: sealing.encryption };
}

/** Why a request with this key, or none, may not read or change a blob with that one, or none. */
export function keyMismatch(
  encryption: EntryEncryption | undefined,
  key: CustomerKey | undefined,
): Extract<ErrorCode, `Blob${string}Encryption${string}`> | undefined {
  const needed = encryption?.keySha256;
  if (needed === key?.sha256) return undefined;
  if (needed === undefined && encryption?.scope === undefined) return 'BlobDoesNotUseCustomerSpecifiedEncryption';
  return key === undefined ? 'BlobUsesCustomerSpecifiedEncryption' : 'BlobCustomerSpecifiedEncryptionMismatch';
}

/** What opens a blob for this request. Undefined: the store's own keys do. Throws where the key is not the blob's. */
export function readUnsealer(
  call: Call,
  encryption: EntryEncryption | undefined,
  of: keyof typeof names = 'own',
): Unsealer | undefined {
  const key = customerKey(call, of);
  const code = keyMismatch(encryption, key);
  if (code !== undefined) throw new BlobError(code);
  return key && customerUnsealer(call.store, key);
}

/**
 * Of an operation that changes a blob: the key, or the scope, that the request names must be the blob's. A scope that new
 * blobs get there by themselves need not be named, nor any if not `mustNameScope`. For the edit of `changeEntry`.
 */
export function encryptionCheck(
  call: Call,
  mustNameScope = true,
): (
  record: { readonly encryption?: EntryEncryption },
  container: Pick<ContainerRecord, 'encryptionScope'>,
) => Failure | undefined {
  const key = customerKey(call);
  const named = namedScope(call);
  const scope = named === accountKeyScope ? undefined : named;
  const given: EntryEncryption = { ...(key && { keySha256: key.sha256 }), ...(scope !== undefined && { scope }) };
  const namesNone = key === undefined && named === undefined;
  return ({ encryption }, container) => {
    if (isSameEncryption(encryption, given)) return undefined;
    const byItself = [container.encryptionScope, call.accountSettings.encryptionScope];
    const isImplied = encryption?.scope !== undefined && (!mustNameScope || byItself.includes(encryption.scope));
    return namesNone && isImplied ? undefined : encryptionMismatch(encryption, given);
  };
}

/** How a key that is not to be had reads in this protocol. */
export const keyProblemCodes = {
  'key-not-found': 'KeyVaultEncryptionKeyNotFound',
  'vault-not-found': 'KeyVaultVaultNotFound',
  'no-token': 'KeyVaultAccessTokenCannotBeAcquired',
  'scope-disabled': 'EncryptionScopeDisabled',
  unavailable: 'ServerBusy',
} as const satisfies Record<KeyProblem, ErrorCode>;
