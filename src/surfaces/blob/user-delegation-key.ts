// Get User Delegation Key: a key with which whoever holds a token signs in his own name, for a week at most.
import { parseIsoTime } from '../../codec/http-date.ts';
import { readXml, type XmlElement, xmlChildText } from '../../codec/xml-read.ts';
import { xmlDeclaration, xmlElement } from '../../codec/xml-write.ts';
import { delegationKeyMsMax, delegationKeyValue, delegationTime } from '../../identity/delegation-key.ts';
import { openDelegation } from '../../namespace/delegation.ts';
import type { Answer } from '../http/answer.ts';
import type { Call } from './call.ts';
import { BlobError, failureError } from './errors.ts';

const bodyBytesMax = 4096;
const tenantId = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;

export async function getUserDelegationKey(call: Call): Promise<Answer> {
  const { principal, target, version, store } = call;
  // `authorize` lets nobody else come here.
  if (principal.kind !== 'entra') throw new BlobError('AuthenticationFailed');
  const { oid, tid, groups } = principal;
  const { startMs, expiryMs, delegatedTid } = keyInfo(await body(call), store.wallClock.now());
  const delegator = { oid, groups, untilMs: expiryMs };
  const opened = await openDelegation(store, target.account, delegator, call.cause);
  if (opened.kind !== 'ok') throw failureError(opened);
  const fields = { oid, tid, startMs, expiryMs, service: 'b', version, delegatedTid };
  const value = delegationKeyValue(opened.secret, target.account, fields).toString('base64');
  const elements = [
    xmlElement('SignedOid', oid),
    xmlElement('SignedTid', tid),
    xmlElement('SignedStart', delegationTime(startMs)),
    xmlElement('SignedExpiry', delegationTime(expiryMs)),
    xmlElement('SignedService', 'b'),
    xmlElement('SignedVersion', version),
    ...(delegatedTid === '' ? [] : [xmlElement('SignedDelegatedUserTid', delegatedTid)]),
    xmlElement('Value', value),
  ];
  return {
    status: 200,
    headers: { 'Content-Type': 'application/xml' },
    body: `${xmlDeclaration}<UserDelegationKey>${elements.join('')}</UserDelegationKey>`,
  };
}

async function body(call: Call): Promise<XmlElement> {
  const bytes = await call.body.whole(bodyBytesMax);
  if (bytes === undefined) throw new BlobError('RequestBodyTooLarge', { MaxLimit: `${bodyBytesMax}` });
  const parsed = readXml(bytes, bodyBytesMax);
  if (parsed.kind !== 'ok' || parsed.root.name !== 'KeyInfo') throw new BlobError('InvalidXmlDocument');
  return parsed.root;
}

/** Times to the second, as the key says them. Without a start it begins now. */
function keyInfo(info: XmlElement, nowMs: number) {
  const startMs = time(info, 'Start') ?? seconds(nowMs);
  const expiryMs = time(info, 'Expiry');
  if (expiryMs === undefined) throw wrongNode('Expiry', '');
  if (expiryMs <= nowMs || expiryMs <= startMs || expiryMs > nowMs + delegationKeyMsMax) {
    throw wrongNode('Expiry', delegationTime(expiryMs));
  }
  const delegatedTid = xmlChildText(info, 'DelegatedUserTid')?.trim().toLowerCase() ?? '';
  if (delegatedTid !== '' && !tenantId.test(delegatedTid)) {
    throw wrongNode('DelegatedUserTid', delegatedTid);
  }
  return { startMs, expiryMs, delegatedTid };
}

function time(info: XmlElement, name: string): number | undefined {
  const text = xmlChildText(info, name)?.trim() ?? '';
  if (text === '') return undefined;
  const parsed = parseIsoTime(text);
  if (parsed === undefined) throw wrongNode(name, text);
  return seconds(parsed);
}

const seconds = (ms: number): number => Math.floor(ms / 1000) * 1000;

function wrongNode(name: string, value: string): BlobError {
  return new BlobError('InvalidXmlNodeValue', { XmlNodeName: name, XmlNodeValue: value });
}
