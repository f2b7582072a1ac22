// Writes a store with every kind of record by the program as it stands, and keeps it with what it answers:
// `bin/node test/older-store/make.ts NAME`. What later programs make of it, `older-store.test.ts` sees.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { type Answer, type Call, causeway, Server, temporaryDirectory } from '../server/program.ts';
import { contentOf } from '../support/content.ts';
import { ask, folder, kept, type Picture } from './picture.ts';

const pageBytes = 512;
const leaseId = '00000000-0000-0000-0000-00000000000a';
const kibibyte = 1024;

const name = process.argv[2];
if (name === undefined || !/^[a-z0-9-]+$/.test(name)) throw new Error('bin/node test/older-store/make.ts NAME');
const data = join(temporaryDirectory(), 'data');

async function command(...words: readonly string[]): Promise<void> {
  const { code, err } = await causeway(...words, '--data', data);
  if (code !== 0) throw new Error(`${words.join(' ')}: ${err}`);
}

/** What every step of the filling must be. */
async function done(server: Server, call: Call): Promise<Answer> {
  const answer = await server.call(call);
  if (answer.status >= 300)
    throw new Error(`${call.method} ${call.path}?${call.query}: ${answer.status} ${answer.body}`);
  return answer;
}

const block = (index: number): string => Buffer.from(`block-${String(index).padStart(6, '0')}`).toString('base64');

async function fill(server: Server): Promise<void> {
  const put = (path: string, body: Buffer, headers: Record<string, string> = {}) =>
    done(server, { method: 'PUT', path, headers: { 'x-ms-blob-type': 'BlockBlob', ...headers }, body });
  const change = (path: string, query: string, headers: Record<string, string> = {}, body?: Buffer) =>
    done(server, { method: 'PUT', path, query, headers, ...(body && { body }) });
  const blocks = async (path: string, count: number, bytes: number, isCommitted = true): Promise<void> => {
    const ids = Array.from({ length: count }, (_, index) => block(index));
    for (const [index, id] of ids.entries()) {
      await change(path, `comp=block&blockid=${encodeURIComponent(id)}`, {}, contentOf(index, bytes));
    }
    const list = ids.map((id) => `<Latest>${id}</Latest>`).join('');
    if (isCommitted) await change(path, 'comp=blocklist', {}, Buffer.from(`<BlockList>${list}</BlockList>`));
  };
  await change('/plain', 'restype=container', { 'x-ms-meta-purpose': 'plain', 'x-ms-blob-public-access': 'blob' });
  await change('/held', 'restype=container');
  await change('/sealed', 'restype=container', { 'x-ms-default-encryption-scope': 'own' });
  const policy =
    '<SignedIdentifiers><SignedIdentifier><Id>readers</Id><AccessPolicy><Permission>r</Permission></AccessPolicy></SignedIdentifier></SignedIdentifiers>';
  await change('/held', 'restype=container&comp=acl', {}, Buffer.from(policy));
  const tagged = { 'x-ms-tags': 'colour=red&size=3', 'x-ms-meta-author': 'somebody', 'content-type': 'text/plain' };
  await put('/plain/empty', Buffer.alloc(0));
  await put('/plain/inline', contentOf(1, 100), tagged);
  await put('/plain/small', contentOf(2, 9 * kibibyte), { 'x-ms-access-tier': 'Cool' });
  await put('/plain/large', contentOf(3, 140 * kibibyte), { 'content-encoding': 'x-none', 'content-language': 'de' });
  await put('/plain/a/deep/er name/ü', contentOf(4, 50));
  await put('/plain/a', contentOf(5, 60));
  await put('/plain/archived', contentOf(6, 70), { 'x-ms-access-tier': 'Archive' });
  await blocks('/plain/blocks', 5, 3000);
  await blocks('/plain/many blocks', 120, 90);
  await blocks('/plain/staged only', 3, 2000, false);
  await blocks('/plain/small', 2, 1000, false);
  await done(server, { method: 'PUT', path: '/plain/appended', headers: { 'x-ms-blob-type': 'AppendBlob' } });
  for (let index = 0; index < 40; index++)
    await change('/plain/appended', 'comp=appendblock', {}, contentOf(index, 300));
  const paged = { 'x-ms-blob-type': 'PageBlob', 'x-ms-blob-content-length': `${8 * 1024 * kibibyte}` };
  await done(server, { method: 'PUT', path: '/plain/pages', headers: paged });
  const write = (first: number, count: number, seed: number) =>
    change(
      '/plain/pages',
      'comp=page',
      { 'x-ms-page-write': 'update', range: `bytes=${first * pageBytes}-${(first + count) * pageBytes - 1}` },
      contentOf(seed, count * pageBytes),
    );
  await write(3, 4, 1);
  await write(2040, 20, 2);
  await change('/plain/pages', 'comp=snapshot');
  await write(4, 1, 3);
  await put('/sealed/inline', contentOf(7, 90));
  await put('/sealed/large', contentOf(8, 70 * kibibyte));
  const from = `http://${server.blob.host}/devstoreaccount1/plain/large`;
  await done(server, { method: 'PUT', path: '/plain/copied', headers: { 'x-ms-copy-source': from } });
  await put('/plain/leased', contentOf(9, 40));
  await change('/plain/leased', 'comp=lease', {
    'x-ms-lease-action': 'acquire',
    'x-ms-lease-duration': '-1',
    'x-ms-proposed-lease-id': leaseId,
  });
  await put('/plain/snapped', contentOf(10, 5000));
  await change('/plain/snapped', 'comp=snapshot', { 'x-ms-meta-when': 'first' });
  await put('/plain/snapped', contentOf(11, 5500));
  await change('/plain/snapped', 'comp=snapshot');
  await put('/held/kept', contentOf(12, 30));
  await put('/held/gone', contentOf(13, 30));
  await done(server, { method: 'DELETE', path: '/held/gone' });
}

async function fillLater(server: Server): Promise<void> {
  const put = (path: string, seed: number) =>
    done(server, { method: 'PUT', path, headers: { 'x-ms-blob-type': 'BlockBlob' }, body: contentOf(seed, 1200) });
  for (let version = 0; version < 3; version++) await put('/plain/versions', 20 + version);
  await put('/plain/deleted', 30);
  await done(server, { method: 'DELETE', path: '/plain/deleted' });
}

await command('account', 'create', 'second');
const first = await Server.start({ data });
await command('scope', 'create', 'devstoreaccount1', 'own');
await fill(first);
await command('account', 'set', 'devstoreaccount1', 'versioning=on', 'soft-delete-days=365', 'change-feed=on');
await fillLater(first);
await command('container', 'set', 'devstoreaccount1', 'held', 'quota-bytes=1000000');
await command('container', 'legal-hold', 'devstoreaccount1', 'held', '--add', 'case1');
const principal = '8a1e0000-0000-4000-8000-000000000001';
await command('access', 'assign', 'devstoreaccount1', '--principal', principal, '--role', 'Storage Blob Data Reader');
// What is left is as a crash leaves it: a log to be taken up, a segment that is open.
first.program.kill();
await first.program.ended();
const files: Record<string, string> = {};
for (const entry of readdirSync(data, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || entry.name.endsWith('-shm') || entry.parentPath.includes('query')) continue;
  const path = join(entry.parentPath, entry.name);
  files[path.slice(data.length + 1)] = readFileSync(path).toString('base64');
}
const again = await Server.start({ data });
const picture: Picture = await ask(again);
if ((await again.stop()) !== 0) throw new Error('the store was not closed');
mkdirSync(join(folder, name), { recursive: true });
const { store, answers } = kept(name);
rmSync(store, { force: true });
writeFileSync(store, zstdCompressSync(JSON.stringify(files), { params: { 100: 19 } }));
writeFileSync(answers, `${JSON.stringify(picture, undefined, 2)}\n`);
console.log(`${store}: ${readFileSync(store).length} bytes, ${Object.keys(picture).length} answers`);
