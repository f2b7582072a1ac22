// AzCopy's properties: content headers, metadata, MD5 and tiers, set on upload, kept by copies, checked on download.

import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { GateContext } from '../gate.ts';
import type { Recorder } from '../recorder.ts';
import { createContainer, signedRequest } from '../sas.ts';
import type { AzCopy } from './client.ts';

const wanted = {
  'content-type': 'text/x-causeway; charset=utf-8',
  'cache-control': 'max-age=60, public',
  'content-disposition': 'attachment; filename="odd name.txt"',
  'content-encoding': 'identity',
  'content-language': 'de-CH',
  'x-ms-meta-colour': 'dark green',
  'x-ms-meta-count': '42',
} as const;

export async function checkProperties(context: GateContext, azcopy: AzCopy, checks: Recorder): Promise<void> {
  const { server, workDir } = context;
  const file = join(workDir, 'properties.bin');
  const content = Buffer.from('the content whose properties are looked at\n'.repeat(1000));
  const md5 = createHash('md5').update(content).digest('base64');
  await writeFile(file, content);
  await createContainer(server, 'properties');
  await createContainer(server, 'properties-copy');

  await checks.check('upload with content headers, metadata, MD5 and tier', async () => {
    await azcopy.job([
      ...['copy', file, azcopy.url('properties/file.bin'), '--from-to', 'LocalBlob', '--put-md5'],
      ...['--content-type', wanted['content-type'], '--cache-control', wanted['cache-control']],
      ...['--content-disposition', wanted['content-disposition'], '--content-encoding', wanted['content-encoding']],
      ...['--content-language', wanted['content-language'], '--block-blob-tier', 'Cool'],
      ...['--metadata', 'colour=dark green;count=42'],
    ]);
    await expectHeaders(context, 'properties/file.bin', { ...wanted, 'content-md5': md5, 'x-ms-access-tier': 'Cool' });
  });
  await checks.check('the same for an upload in blocks', async () => {
    await azcopy.job([
      ...['copy', file, azcopy.url('properties/blocks.bin'), '--from-to', 'LocalBlob', '--put-md5'],
      ...['--block-size-mb', '0.0078125', '--put-blob-size-mb', '0.0078125'],
      ...['--content-type', wanted['content-type'], '--metadata', 'colour=dark green;count=42'],
    ]);
    await expectHeaders(context, 'properties/blocks.bin', {
      'content-md5': md5,
      'content-type': wanted['content-type'],
      'x-ms-meta-colour': 'dark green',
    });
  });
  await checks.check('a content type is guessed from the name', async () => {
    const page = join(workDir, 'page.html');
    await writeFile(page, 'no markup at all');
    await azcopy.job(['copy', page, azcopy.url('properties/page.html'), '--from-to', 'LocalBlob']);
    await expectHeaders(context, 'properties/page.html', { 'content-type': 'text/html' });
  });
  await checks.check('a copy between containers keeps properties, metadata and tier', async () => {
    await azcopy.job([
      ...['copy', azcopy.url('properties/*'), azcopy.url('properties-copy'), '--from-to', 'BlobBlob', '--recursive'],
    ]);
    const expected = { ...wanted, 'content-md5': md5, 'x-ms-access-tier': 'Cool' };
    await expectHeaders(context, 'properties-copy/file.bin', expected);
  });
  await checks.check('set-properties changes metadata and tier', async () => {
    await azcopy.job([
      ...['set-properties', azcopy.url('properties/file.bin'), '--from-to', 'BlobNone'],
      ...['--metadata', 'colour=red', '--block-blob-tier', 'Hot'],
    ]);
    const headers = await expectHeaders(context, 'properties/file.bin', {
      'x-ms-meta-colour': 'red',
      'x-ms-access-tier': 'Hot',
      'content-type': wanted['content-type'],
    });
    if (headers.has('x-ms-meta-count')) throw new Error('metadata that was replaced is still there');
  });
  await checks.check('a download whose MD5 does not fit fails', async () => {
    const wrong = createHash('md5').update('something else').digest('base64');
    const response = await signedRequest(server, {
      method: 'PUT',
      path: 'properties/blocks.bin',
      query: { comp: 'properties' },
      headers: { 'x-ms-blob-content-md5': wrong },
    });
    await response.arrayBuffer();
    if (response.status !== 200) throw new Error(`Set Blob Properties answered ${response.status}`);
    const target = join(workDir, 'wrong-md5.bin');
    const args = ['copy', azcopy.url('properties/blocks.bin'), target, '--from-to', 'BlobLocal'];
    const summary = await azcopy.attempt([...args, '--check-md5', 'FailIfDifferent']);
    if (summary.failed !== 1) throw new Error(`${summary.failed} failed transfers: the wrong MD5 went unnoticed`);
    await azcopy.job([...args, '--check-md5', 'NoCheck']);
    if (!(await readFile(target)).equals(content)) throw new Error('other bytes came back');
  });
  await checks.check('directory stubs travel beside the files below them', async () => {
    const stub = await signedRequest(server, {
      method: 'PUT',
      path: 'properties/stub',
      headers: { 'x-ms-blob-type': 'BlockBlob', 'x-ms-meta-hdi_isfolder': 'true' },
    });
    await stub.arrayBuffer();
    if (stub.status !== 201) throw new Error(`Put Blob answered ${stub.status}`);
    await azcopy.job(['copy', file, azcopy.url('properties/stub/below.bin'), '--from-to', 'LocalBlob']);
    await azcopy.job([
      ...['copy', azcopy.url('properties/stub'), azcopy.url('properties-copy'), '--from-to', 'BlobBlob', '--recursive'],
      '--include-directory-stub',
    ]);
    await expectHeaders(context, 'properties-copy/stub', { 'x-ms-meta-hdi_isfolder': 'true', 'content-length': '0' });
    await expectHeaders(context, 'properties-copy/stub/below.bin', { 'content-length': String(content.length) });
    const target = join(workDir, 'stub');
    await mkdir(target);
    await azcopy.job([
      ...['copy', azcopy.url('properties-copy/stub'), target, '--from-to', 'BlobLocal', '--recursive'],
      '--include-directory-stub',
    ]);
    if (!(await readFile(join(target, 'stub', 'below.bin'))).equals(content)) throw new Error('other bytes came back');
  });
}

async function expectHeaders(
  context: GateContext,
  path: string,
  expected: Readonly<Record<string, string>>,
): Promise<Headers> {
  const response = await signedRequest(context.server, { method: 'HEAD', path });
  if (response.status !== 200) throw new Error(`Get Blob Properties of ${path} answered ${response.status}`);
  const wrong = Object.entries(expected).filter(([name, value]) => response.headers.get(name) !== value);
  const lines = wrong.map(([name, value]) => `${name} is "${response.headers.get(name)}" instead of "${value}"`);
  if (lines.length > 0) throw new Error(lines.join('; '));
  return response.headers;
}
