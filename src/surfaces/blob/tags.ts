// Get and Set Blob Tags, Find Blobs by Tags.
import { readXml, xmlChild, xmlChildText } from '../../codec/xml-read.ts';
import { escapeXml, xmlDeclaration, xmlElement } from '../../codec/xml-write.ts';
import { changeEntry, type EntryChange, getEntry } from '../../namespace/entries.ts';
import { parseTagQuery } from '../../namespace/tag-expression.ts';
import { findByTags } from '../../namespace/tag-index.ts';
import type { Answer } from '../http/answer.ts';
import type { RequestBody } from '../http/body.ts';
import { blobChange } from './blob-change.ts';
import type { BlobCall, Call } from './call.ts';
import { BlobError, failureError } from './errors.ts';
import { conditions, tagSet } from './headers-in.ts';
import { includes, pageLimit, queryError } from './list-parameters.ts';
import { tagsXml } from './metadata-xml.ts';
import { one, type ParsedRequest } from './request.ts';
import { serviceEndpoint } from './service-endpoint.ts';
import { checkSums } from './upload-body.ts';

const bodyBytesMax = 16 * 1024;
const findable: ReadonlySet<string> = new Set(['none']);

type Tags = Readonly<Record<string, string>>;
const readBodies = new WeakMap<RequestBody, Promise<Tags>>();

/** Of a request to set tags. A body comes once: whoever decides and whoever stores get the same tags of it. */
export function tagsInBody(request: Pick<ParsedRequest, 'body' | 'headers'>): Promise<Tags> {
  const known = readBodies.get(request.body);
  if (known !== undefined) return known;
  const tags = readTagsOf(request);
  readBodies.set(request.body, tags);
  return tags;
}

async function readTagsOf({ body, headers }: Pick<ParsedRequest, 'body' | 'headers'>): Promise<Tags> {
  const bytes = await body.whole(bodyBytesMax);
  if (bytes === undefined) throw new BlobError('RequestBodyTooLarge', { MaxLimit: `${bodyBytesMax}` });
  checkSums(headers, bytes);
  return readTags(bytes);
}

export async function getBlobTags(call: BlobCall): Promise<Answer> {
  const outcome = await getEntry(call.store, tagsChange(call));
  if (outcome.kind !== 'ok') throw failureError(outcome);
  const body = `${xmlDeclaration}${tagsXml(outcome.entry.record.tags ?? {})}`;
  return { status: 200, headers: { 'Content-Type': 'application/xml' }, body };
}

/** Conditions on the blob have names of their own here; those of other operations are taken as well. */
function tagsChange(call: BlobCall): EntryChange {
  const change = blobChange(call, true);
  return { ...change, conditions: { ...change.conditions, ...conditions(call.headers, 'x-ms-blob-') } };
}

/** Neither ETag nor Last-Modified change with the tags. */
export async function setBlobTags(call: BlobCall): Promise<Answer> {
  const tags = await tagsInBody(call);
  const options = { touches: false, act: 'note', operation: 'entry-retagged' } as const;
  const outcome = await changeEntry(
    call.store,
    tagsChange(call),
    ({ tags: _, ...record }) => (Object.keys(tags).length === 0 ? record : { ...record, tags }),
    options,
  );
  if (outcome.kind !== 'ok') throw failureError(outcome);
  return { status: 204, headers: {} };
}

/** `<Tags><TagSet><Tag><Key/><Value/></Tag>...`; a set without any clears. */
export function readTags(body: Uint8Array): Record<string, string> {
  const parsed = readXml(body, bodyBytesMax);
  const set = parsed.kind === 'ok' && parsed.root.name === 'Tags' ? xmlChild(parsed.root, 'TagSet') : undefined;
  if (set === undefined) throw new BlobError('InvalidXmlDocument');
  const pairs: [string, string][] = [];
  for (const tag of set.children) {
    const key = xmlChildText(tag, 'Key');
    if (tag.name !== 'Tag' || key === undefined) throw new BlobError('InvalidXmlDocument');
    pairs.push([key, xmlChildText(tag, 'Value') ?? '']);
  }
  const tags = tagSet(pairs);
  if (tags === undefined) throw new BlobError('InvalidTags');
  return tags;
}

/** The service says what is wrong with an expression in the message, and tools show nothing else. */
function whereError(where: string, problem: string): BlobError {
  const details = { QueryParameterName: 'where', QueryParameterValue: where };
  return new BlobError('InvalidQueryParameterValue', details, `Error parsing query${problem}`);
}

/** Of an account, or of one container. */
export async function findBlobsByTags(call: Call): Promise<Answer> {
  const { query, target } = call;
  const where = one(query, 'where');
  if (where === undefined || where === '') {
    throw new BlobError('MissingRequiredQueryParameter', { QueryParameterName: 'where' });
  }
  const parsed = parseTagQuery(where);
  if (parsed.kind === 'invalid') {
    const place = parsed.at === undefined ? '' : ` at or near character position ${parsed.at}`;
    throw whereError(where, `${place}: ${parsed.problem}`);
  }
  // Versions are not in the index: a search that left them out would look whole.
  includes(query, findable);
  const { limit, given } = pageLimit(query);
  const marker = one(query, 'marker');
  if (marker !== undefined && !/^[\w-]*$/.test(marker)) throw queryError('marker', marker);
  if (target.container !== undefined && parsed.container !== undefined) {
    throw whereError(where, ': Cannot have container in both uri and query');
  }
  const scoped = { comparisons: parsed.comparisons, container: target.container ?? parsed.container };
  const from = marker === undefined || marker === '' ? undefined : marker;
  const page = await findByTags(call.store, target.account, scoped, { from, limit });
  const mentioned = new Set(parsed.comparisons.map(({ tag }) => tag));
  let out = `${xmlDeclaration}<EnumerationResults ServiceEndpoint="${escapeXml(serviceEndpoint(call))}">${xmlElement('Where', where)}`;
  if (given !== undefined) out += `<MaxResults>${given}</MaxResults>`;
  const blobs = page.found.map(({ name, container, record }) => {
    // Only the tags that the expression names come back.
    const tags = Object.fromEntries(Object.entries(record.tags ?? {}).filter(([tag]) => mentioned.has(tag)));
    const version = record.version === undefined ? '' : `<VersionId>${record.version}</VersionId>`;
    const current = record.version === undefined ? '' : '<IsCurrentVersion>true</IsCurrentVersion>';
    return `<Blob>${xmlElement('Name', name)}${version}${current}${xmlElement('ContainerName', container)}${tagsXml(tags)}</Blob>`;
  });
  out += blobs.length === 0 ? '<Blobs />' : `<Blobs>${blobs.join('')}</Blobs>`;
  out += `${xmlElement('NextMarker', page.next)}</EnumerationResults>`;
  return { status: 200, headers: { 'Content-Type': 'application/xml' }, body: out };
}
