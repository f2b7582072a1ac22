// Get and Set Container ACL: public access and stored access policies.
import { formatIsoTime, parseIsoTime } from '../../codec/http-date.ts';
import { readXml, type XmlElement, xmlChild, xmlChildText } from '../../codec/xml-read.ts';
import { escapeXml, xmlDeclaration, xmlElement } from '../../codec/xml-write.ts';
import { changeContainer, getContainer } from '../../namespace/containers.ts';
import type { StoredPolicy } from '../../namespace/records.ts';
import type { Answer } from '../http/answer.ts';
import type { ContainerCall } from './call.ts';
import { containerChange, containerError, containerRead } from './container-access.ts';
import { publicAccess } from './create-container.ts';
import { BlobError, documentError } from './errors.ts';
import { publicAccessHeader, stamp } from './headers-out.ts';
import { isBefore } from './version-differences.ts';

const bodyBytesMax = 64 * 1024;
const policiesMax = 5;
const idCharactersMax = 64;
/** Every permission of a service SAS ("Create a service SAS", Specify permissions). */
const permissions = /^[racwdxyltmeopfi]*$/;

export async function getContainerAcl(call: ContainerCall): Promise<Answer> {
  const outcome = await getContainer(call.store, containerRead(call));
  if (outcome.kind !== 'ok') throw containerError(outcome);
  const { record } = outcome;
  const isNew = record.policies.some(({ permission = '' }) => /[ac]/.test(permission));
  if (isNew && isBefore(call.version, 'createInPolicies')) {
    const message = 'Stored access policy contains a permission that is not supported by this version.';
    throw new BlobError('FeatureVersionMismatch', {}, message);
  }
  return {
    status: 200,
    headers: { ...stamp(record), ...publicAccessHeader(record), 'Content-Type': 'application/xml' },
    body: writePolicies(record.policies),
  };
}

/** Sets both: without a header the container becomes private, without a body it has no policies. */
export async function setContainerAcl(call: ContainerCall): Promise<Answer> {
  const access = containerChange(call, ['if-modified-since', 'if-unmodified-since']);
  const changes = { publicAccess: publicAccess(call.headers), policies: await readBody(call) };
  const outcome = await changeContainer(call.store, access, changes);
  if (outcome.kind !== 'ok') throw containerError(outcome);
  return { status: 200, headers: stamp(outcome.record) };
}

async function readBody(call: ContainerCall): Promise<readonly StoredPolicy[]> {
  const body = await call.body.whole(bodyBytesMax);
  if (body === undefined) throw new BlobError('RequestBodyTooLarge', { MaxLimit: `${bodyBytesMax}` });
  return body.length === 0 ? [] : readPolicies(body);
}

/** Throws `BlobError` for what is not a list of at most five policies with ids of their own. */
export function readPolicies(body: Uint8Array): StoredPolicy[] {
  const parsed = readXml(body, bodyBytesMax);
  if (parsed.kind !== 'ok' || parsed.root.name !== 'SignedIdentifiers') throw new BlobError('InvalidXmlDocument');
  const { children } = parsed.root;
  if (children.length > policiesMax) throw new BlobError('InvalidXmlDocument');
  const policies = children.map((child) => readPolicy(child, parsed.root));
  if (new Set(policies.map(({ id }) => id)).size !== policies.length) throw new BlobError('InvalidXmlDocument');
  return policies;
}

function readPolicy(element: XmlElement, root: XmlElement): StoredPolicy {
  const id = xmlChildText(element, 'Id') ?? '';
  if (element.name !== 'SignedIdentifier') throw new BlobError('InvalidXmlDocument');
  if (id === '' || id.length > idCharactersMax) {
    throw documentError(root, 'Signed identifier ID cannot be empty or over 64 characters in length');
  }
  const policy = xmlChild(element, 'AccessPolicy');
  if (policy === undefined) return { id };
  const start = time(policy, 'Start');
  const expiry = time(policy, 'Expiry');
  const permission = xmlChildText(policy, 'Permission')?.trim();
  if (permission !== undefined && !permissions.test(permission)) throw new BlobError('InvalidXmlDocument');
  return {
    id,
    ...(start !== undefined && { start }),
    ...(expiry !== undefined && { expiry }),
    ...(permission !== undefined && permission !== '' && { permission }),
  };
}

/** In UTC with seven digits, as it comes back; all that were given are kept. */
function time(policy: XmlElement, name: string): string | undefined {
  const text = xmlChildText(policy, name)?.trim();
  if (text === undefined || text === '') return undefined;
  const parsed = parseIsoTime(text);
  if (parsed === undefined) throw new BlobError('InvalidXmlNodeValue', { XmlNodeName: name, XmlNodeValue: text });
  const digits = /\.(\d{1,7})/.exec(text)?.[1] ?? '';
  return `${formatIsoTime(parsed).slice(0, -8)}${digits.padEnd(7, '0')}Z`;
}

function writePolicies(policies: readonly StoredPolicy[]): string {
  if (policies.length === 0) return `${xmlDeclaration}<SignedIdentifiers />`;
  let out = `${xmlDeclaration}<SignedIdentifiers>`;
  for (const { id, start, expiry, permission } of policies) {
    out += `<SignedIdentifier><Id>${escapeXml(id)}</Id>`;
    const inner =
      (start === undefined ? '' : xmlElement('Start', start)) +
      (expiry === undefined ? '' : xmlElement('Expiry', expiry)) +
      (permission === undefined ? '' : xmlElement('Permission', permission));
    out += inner === '' ? '</SignedIdentifier>' : `<AccessPolicy>${inner}</AccessPolicy></SignedIdentifier>`;
  }
  return `${out}</SignedIdentifiers>`;
}
