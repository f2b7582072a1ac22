// What a kept store answers: everything in it that a client can read, asked in one fixed way.
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Answer, Call, Server } from '../server/program.ts';

export const folder = fileURLToPath(new URL('kept', import.meta.url));

/** Of one store: its files, and what it answered when it was made. */
export function kept(name: string): { readonly store: string; readonly answers: string } {
  return { store: join(folder, name, 'store.zst'), answers: join(folder, name, 'answers.json') };
}

/** By what was asked: an answer as text. */
export type Picture = Readonly<Record<string, string>>;

/** Of these each answer has its own, or they say what time it is. */
const passing = new Set(['date', 'x-ms-request-id', 'connection', 'keep-alive']);
const passingText = /<RemainingRetentionDays>\d+<\/RemainingRetentionDays>|RequestId:.*|Time:.*(?=<\/Message>)/g;
const host = /127\.0\.0\.1:\d+/g;

function textOf({ status, headers, body }: Answer): string {
  const lines = Object.entries(headers)
    .filter(([name]) => !passing.has(name))
    .map(([name, value]) => `${name}: ${value}`);
  const isText = /xml/.test(`${headers['content-type']}`);
  const shown = isText
    ? body.toString().replaceAll(passingText, '')
    : `${body.length} bytes, SHA-256 ${createHash('sha256').update(body).digest('hex')}`;
  // The length of what is left out may change with the day, and with the port.
  return [status, ...lines.filter((line) => !(isText && line.startsWith('content-length'))), shown]
    .join('\n')
    .replaceAll(host, 'HOST');
}

/** What was deleted softly goes in a year, and is left out. */
const everything = 'include=metadata,snapshots,versions,tags,uncommittedblobs,copy,immutabilitypolicy,legalhold';

/** All containers, what is listed of them, and each state of each blob with its bytes. */
export async function ask(server: Server): Promise<Picture> {
  const picture: Record<string, string> = {};
  const get = async (path: string, query?: string): Promise<string> => {
    const call: Call = { path, ...(query !== undefined && { query }), headers: { 'x-ms-version': '2023-11-03' } };
    const answer = await server.call(call);
    picture[`${path} ${query ?? ''}`] = textOf(answer);
    return answer.body.toString();
  };
  await get('/', 'restype=service&comp=properties');
  const containers = await get('/', 'comp=list&include=metadata');
  for (const [, container] of containers.matchAll(/<Container><Name>([^<]+)<\/Name>/g)) {
    // Its times are those of whoever writes it.
    if (container === '$blobchangefeed') continue;
    await get(`/${container}`, 'restype=container');
    await get(`/${container}`, 'restype=container&comp=acl');
    const listed = await get(`/${container}`, `restype=container&comp=list&${everything}`);
    for (const [, blob = ''] of listed.matchAll(/<Blob>(.*?)<\/Blob>/gs)) {
      const [, name] = /<Name>([^<]+)<\/Name>/.exec(blob) ?? [];
      const [, snapshot] = /<Snapshot>([^<]+)<\/Snapshot>/.exec(blob) ?? [];
      const [, version] = /<VersionId>([^<]+)<\/VersionId>/.exec(blob) ?? [];
      const path = `/${container}/${name}`;
      const state = snapshot ? `snapshot=${snapshot}` : version ? `versionid=${version}` : undefined;
      await get(path, state);
      await get(path, [state, 'comp=tags'].filter(Boolean).join('&'));
      const type = /<BlobType>(\w+)<\/BlobType>/.exec(blob)?.[1];
      if (type === 'BlockBlob') await get(path, [state, 'comp=blocklist&blocklisttype=all'].filter(Boolean).join('&'));
      if (type === 'PageBlob') await get(path, [state, 'comp=pagelist'].filter(Boolean).join('&'));
    }
  }
  await get('/', `comp=blobs&where=${encodeURIComponent("colour='red'")}`);
  return picture;
}
