// Account keys, and the HMAC-SHA256 signatures made with them: what Shared Key and shared access signatures share.
import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto';

export type AccountKey = KeyObject;

const base64 =
  /^(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$|^[A-Za-z0-9+/]{2}==$|^[A-Za-z0-9+/]{3}=$/;
/** The last digit has two bits that stand for nothing: they are zero, or one signature would have four names. */
const signatureForm = /^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/;

/** Decodes a key once, for all its later uses; undefined if the text is no base64 (or empty). */
export function parseAccountKey(text: string): AccountKey | undefined {
  return base64.test(text) ? createSecretKey(Buffer.from(text, 'base64')) : undefined;
}

/** The 32 bytes of a signature, or undefined if the text is anything else. */
export function parseSignature(text: string): Buffer | undefined {
  return signatureForm.test(text) ? Buffer.from(text, 'base64') : undefined;
}

export function sign(stringToSign: string, key: AccountKey): Buffer {
  return createHmac('sha256', key).update(stringToSign, 'utf8').digest();
}

/** Whether one of the keys made the signature, in a time that does not depend on how much of it is right. */
export function isSignedByAny(stringToSign: string, signature: Buffer, keys: readonly AccountKey[]): boolean {
  for (const key of keys) if (timingSafeEqual(sign(stringToSign, key), signature)) return true;
  return false;
}

// A SAS comes with thousands of requests: what a key makes of its string is kept, for a bounded number of strings.
const memos = new WeakMap<AccountKey, Map<string, Buffer>>();
const memoStringsMax = 512;
const memoStringCharactersMax = 2048;

/** As `isSignedByAny`, for strings that come again and again. What is kept never leaves this module. */
export function isRepeatedlySignedByAny(stringToSign: string, signature: Buffer, keys: readonly AccountKey[]): boolean {
  for (const key of keys) if (timingSafeEqual(signOnce(stringToSign, key), signature)) return true;
  return false;
}

function signOnce(stringToSign: string, key: AccountKey): Buffer {
  let memo = memos.get(key);
  if (memo === undefined) {
    memo = new Map();
    memos.set(key, memo);
  }
  let made = memo.get(stringToSign);
  if (made === undefined) {
    made = sign(stringToSign, key);
    if (memo.size >= memoStringsMax) memo.clear();
    if (stringToSign.length <= memoStringCharactersMax) memo.set(stringToSign, made);
  }
  return made;
}
