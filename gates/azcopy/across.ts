// AzCopy copies a small tree from one server to another, which brings the bytes itself.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { GateContext } from '../gate.ts';
import type { Recorder } from '../recorder.ts';
import { accountSas, blobUrl, createContainer, signedRequest } from '../sas.ts';
import { expectTree, planTree, writeTree } from '../tree.ts';
import type { AzCopy } from './client.ts';

const mebi = 1024 * 1024;
const metadata = { 'x-ms-meta-colour': 'dark green' } as const;

export async function checkAcross(context: GateContext, azcopy: AzCopy, checks: Recorder): Promise<void> {
  const { server, workDir } = context;
  const tree = planTree({
    seed: 'across',
    files: 90,
    largeSizes: [3 * mebi + 1, 2 * mebi, mebi],
    smallBytesMax: 32 * 1024,
  });
  const target = await context.startServer({ name: 'across', args: ['--set', 'copySourceHosts=*'] });
  // AzCopy takes containers of one name for the same, whatever port they are on.
  const to = `${blobUrl(target.access, 'across-copy').href}?${accountSas(target.access)}`;

  await checks.check('copy a tree between two servers', async () => {
    const local = join(workDir, 'across');
    await writeTree(local, tree.values(), new Date());
    await createContainer(server, 'across');
    await createContainer(target.access, 'across-copy');
    await azcopy.job([
      ...['copy', join(local, '*'), azcopy.url('across'), '--from-to', 'LocalBlob', '--recursive', '--put-md5'],
      ...['--metadata', 'colour=dark green'],
    ]);
    const summary = await azcopy.job([
      ...['copy', azcopy.url('across/*'), to, '--from-to', 'BlobBlob', '--recursive'],
      ...['--block-size-mb', '1', '--put-blob-size-mb', '1'],
    ]);
    if (summary.completed !== tree.size) throw new Error(`${summary.completed} of ${tree.size} were copied`);
    const log = await azcopy.log(summary.jobId);
    const [blobs, blocks] = [log.count('PUT', ''), log.count('PUT', 'block')];
    if (blobs < tree.size - 2 || blocks !== 4 + 2) {
      throw new Error(`${blobs} Put Blob From URL, ${blocks} Put Block From URL`);
    }
    return `${tree.size} files`;
  });
  await checks.check('the other server holds the same bytes, checksums and metadata', async () => {
    const back = join(workDir, 'across-back');
    await mkdir(back);
    await azcopy.job([
      ...['copy', to.replace('?', '/*?'), back, '--from-to', 'BlobLocal', '--recursive'],
      ...['--check-md5', 'FailIfDifferentOrMissing'],
    ]);
    const { headers } = await signedRequest(target.access, { method: 'HEAD', path: 'across-copy/plain.txt' });
    for (const [name, value] of Object.entries(metadata)) {
      if (headers.get(name) !== value) throw new Error(`${name} is "${headers.get(name)}"`);
    }
    return await expectTree(back, tree);
  });
  await checks.check('a server does not fetch from a host that it was not allowed', async () => {
    const source = `${blobUrl(target.access, 'across-copy/plain.txt').href}?${accountSas(target.access)}`;
    const headers = { 'x-ms-copy-source': source, 'x-ms-blob-type': 'BlockBlob' };
    const response = await signedRequest(server, { method: 'PUT', path: 'across/fetched', headers });
    const code = response.headers.get('x-ms-error-code');
    await response.text();
    if (code !== 'CannotVerifyCopySource') throw new Error(`answered ${response.status} ${code}`);
    const left = await signedRequest(server, { method: 'HEAD', path: 'across/fetched' });
    if (left.status !== 404) throw new Error(`the blob answers ${left.status}`);
  });
  await target.stop();
}
