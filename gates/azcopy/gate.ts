// AzCopy moves a tree of awkward files in, across and out, byte for byte.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Gate, GateContext } from '../gate.ts';
import { type Recorder, recorder } from '../recorder.ts';
import { createContainer, serviceSas } from '../sas.ts';
import {
  changeTree,
  defaultPlan,
  dropFiles,
  expectNames,
  expectTree,
  fullPlan,
  planTree,
  type Tree,
  totalBytes,
  writeTree,
} from '../tree.ts';
import { checkAcross } from './across.ts';
import { type AzCopy, installAzCopy } from './client.ts';
import { checkEntra } from './entra.ts';
import { checkProperties } from './properties.ts';
import { checkQuickstart } from './quickstart.ts';
import { checkRemove } from './remove.ts';
import { checkResume } from './resume.ts';

export const gate: Gate = {
  name: 'azcopy',
  slow: false,
  async run(context) {
    if (process.platform !== 'linux') {
      const detail = `the pinned AzCopy is for Linux, this is ${process.platform}`;
      return [{ check: 'platform', outcome: 'skip', detail, ms: 0 }];
    }
    const azcopy = await installAzCopy(context);
    const checks = recorder(context.log);
    await checkQuickstart(context, azcopy, checks);
    await checkTree(context, azcopy, checks);
    await checkProperties(context, azcopy, checks);
    await checkAcross(context, azcopy, checks);
    await checkResume(context, azcopy, checks);
    await checkRemove(context, azcopy, checks);
    await checkEntra(context, azcopy, checks);
    return checks.rows;
  },
};

const hourMs = 3_600_000;
// Times of blobs are in whole seconds, and sync compares them with a file's.
const secondsApartMs = 3_000;
const timeoutMs = 600_000;

async function checkTree(context: GateContext, azcopy: AzCopy, checks: Recorder): Promise<void> {
  const plan = context.all ? fullPlan : defaultPlan;
  const tree = planTree(plan);
  const local = join(context.workDir, 'tree');
  const back = join(context.workDir, 'back');
  await writeTree(local, tree.values(), new Date(Date.now() - hourMs));
  await mkdir(back);
  for (const container of ['first', 'second', 'third']) await createContainer(context.server, container);
  const bounded = { timeoutMs };

  await checks.check(
    'copy up a tree',
    async () => {
      const summary = await azcopy.job([
        ...['copy', join(local, '*'), azcopy.url('first'), '--from-to', 'LocalBlob', '--recursive', '--put-md5'],
      ]);
      expectCount('transfers', summary.completed, tree.size);
      const log = await azcopy.log(summary.jobId);
      if (log.count('PUT', 'block') === 0 || log.count('PUT', '') === 0)
        throw new Error('Put Block or Put Blob was not used');
      return `${tree.size} files, ${totalBytes(tree)} bytes`;
    },
    bounded,
  );
  await checks.check('list names and sizes', () => expectListed(azcopy, 'first', tree), bounded);
  await checks.check(
    'download with MD5 checked',
    async () => {
      await azcopy.job([
        ...['copy', azcopy.url('first/*'), back, '--from-to', 'BlobLocal', '--recursive'],
        ...['--check-md5', 'FailIfDifferentOrMissing'],
      ]);
    },
    bounded,
  );
  await checks.check('downloaded bytes and checksums are the same', () => expectTree(back, tree), bounded);

  await checks.check(
    'sync up finds nothing to do',
    async () => {
      const summary = await azcopy.job(['sync', local, azcopy.url('first'), '--from-to', 'LocalBlob', '--put-md5']);
      expectCount('transfers', summary.total, 0);
    },
    bounded,
  );
  await checks.check(
    'copy without overwriting skips every file',
    async () => {
      const summary = await azcopy.attempt([
        ...[
          'copy',
          join(local, '*'),
          azcopy.url('first'),
          '--from-to',
          'LocalBlob',
          '--recursive',
          '--overwrite',
          'false',
        ],
      ]);
      expectCount('skipped transfers', summary.skipped, tree.size);
      expectCount('failed transfers', summary.failed, 0);
    },
    bounded,
  );

  await checks.check(
    'copy between containers, server to server',
    async () => {
      const summary = await azcopy.job([
        ...['copy', azcopy.url('first/*'), azcopy.url('second'), '--from-to', 'BlobBlob', '--recursive'],
      ]);
      expectCount('transfers', summary.completed, tree.size);
      // Nothing but "from URL" forms is sent here: the bytes never pass through AzCopy.
      const log = await azcopy.log(summary.jobId);
      const [blobs, blocks] = [log.count('PUT', ''), log.count('PUT', 'block')];
      if (blobs === 0 || blocks === 0) throw new Error(`${blobs} Put Blob From URL, ${blocks} Put Block From URL`);
    },
    bounded,
  );
  await checks.check(
    'the copied container lists the same names and sizes',
    () => expectListed(azcopy, 'second', tree),
    bounded,
  );
  await checks.check(
    'the copied container holds the same bytes',
    async () => {
      const copied = join(context.workDir, 'copied');
      await mkdir(copied);
      await azcopy.job([
        ...['copy', azcopy.url('second/*'), copied, '--from-to', 'BlobLocal', '--recursive'],
        ...['--check-md5', 'FailIfDifferentOrMissing'],
      ]);
      return expectTree(copied, tree);
    },
    bounded,
  );
  await checks.check(
    'copy between containers in blocks of 256 KiB',
    async () => {
      const summary = await azcopy.job([
        ...['copy', azcopy.url('first/large'), azcopy.url('third'), '--from-to', 'BlobBlob', '--recursive'],
        ...['--block-size-mb', '0.25', '--put-blob-size-mb', '0.25', '--include-pattern', '8388*'],
      ]);
      expectCount('transfers', summary.completed, 3);
      const large = new Map([...tree].filter(([path]) => path.startsWith('large/8388')));
      const copied = join(context.workDir, 'copied-blocks');
      await mkdir(copied);
      await azcopy.job([
        ...['copy', azcopy.url('third/*'), copied, '--from-to', 'BlobLocal', '--recursive'],
        ...['--check-md5', 'FailIfDifferentOrMissing'],
      ]);
      expectCount('Put Block From URL', (await azcopy.log(summary.jobId)).count('PUT', 'block'), 32 + 32 + 33);
      return expectTree(copied, large);
    },
    bounded,
  );

  await new Promise((resolve) => setTimeout(resolve, secondsApartMs));
  const changed = changeTree(tree);
  await writeTree(local, changed.written, new Date(Date.now() - secondsApartMs / 2));
  await dropFiles(local, changed.dropped);

  await checks.check(
    'sync up sends what changed and deletes what is gone',
    async () => {
      const summary = await azcopy.job([
        ...['sync', local, azcopy.url('first'), '--from-to', 'LocalBlob', '--put-md5', '--delete-destination', 'true'],
      ]);
      expectCount('transfers', summary.completed, changed.written.length);
      expectCount('deletes', summary.deleted, changed.dropped.length);
      await expectListed(azcopy, 'first', changed.tree);
      return `${changed.written.length} sent, ${changed.dropped.length} deleted`;
    },
    bounded,
  );
  await checks.check(
    'sync between containers follows the changes',
    async () => {
      const summary = await azcopy.job([
        ...['sync', azcopy.url('first'), azcopy.url('second'), '--from-to', 'BlobBlob', '--delete-destination', 'true'],
      ]);
      expectCount('transfers', summary.completed, changed.written.length);
      await expectListed(azcopy, 'second', changed.tree);
    },
    bounded,
  );
  await checks.check(
    'sync down brings what changed and deletes what is gone',
    async () => {
      const summary = await azcopy.job([
        ...['sync', azcopy.url('first'), back, '--from-to', 'BlobLocal', '--delete-destination', 'true'],
        ...['--check-md5', 'FailIfDifferentOrMissing'],
      ]);
      expectCount('transfers', summary.completed, changed.written.length);
      return expectTree(back, changed.tree);
    },
    bounded,
  );
  await checks.check(
    'sync down again finds nothing to do',
    async () => {
      const summary = await azcopy.job(['sync', azcopy.url('first'), back, '--from-to', 'BlobLocal']);
      expectCount('transfers', summary.total, 0);
    },
    bounded,
  );
  await checks.check('pipe in and out', async () => {
    const text = 'from a pipe\n'.repeat(100_000);
    const up = await azcopy.raw(['copy', azcopy.url('third/piped.txt'), '--from-to', 'PipeBlob'], { input: text });
    if (up.code !== 0) throw new Error(`the upload ended with ${up.code}: ${up.stdout.slice(-300)}`);
    const down = await azcopy.raw(['copy', azcopy.url('third/piped.txt'), '--from-to', 'BlobPipe']);
    if (down.stdout !== text) throw new Error(`${down.stdout.length} characters came back of ${text.length}`);
  });
  await checks.check("a container's SAS is enough to copy up, list and copy down", async () => {
    const sas = serviceSas(context.server, { container: 'third', permissions: 'rwdl' });
    const file = join(local, 'plain.txt');
    const target = join(context.workDir, 'container-sas.txt');
    await azcopy.job(['copy', file, azcopy.url('third/container-sas.txt', sas), '--from-to', 'LocalBlob']);
    await azcopy.job(['copy', azcopy.url('third/container-sas.txt', sas), target, '--from-to', 'BlobLocal']);
    if (!(await readFile(target)).equals(await readFile(file))) throw new Error('other bytes came back');
    const listed = await azcopy.raw(['list', azcopy.url('third', sas), '--location', 'Blob']);
    if (!listed.stdout.includes('container-sas.txt')) throw new Error(`not listed: ${listed.stdout.slice(0, 300)}`);
    const elsewhere = await azcopy.raw(['list', azcopy.url('first', sas), '--location', 'Blob']);
    if (elsewhere.code === 0) throw new Error('it opens another container, too');
  });
  await checks.check('a SAS that ended is refused', async () => {
    await writeFile(join(context.workDir, 'refused.txt'), 'refused');
    const ended = azcopy.sas.replace(/se=[^&]+/, 'se=2020-01-01T00%3A00%3A00Z');
    const target = azcopy.url('third/refused.txt', ended);
    const result = await azcopy.raw(['copy', join(context.workDir, 'refused.txt'), target, '--from-to', 'LocalBlob']);
    if (result.code === 0) throw new Error('it was accepted');
    if ((await azcopy.list('third')).some((object) => object.path === 'refused.txt'))
      throw new Error('the blob is there');
  });
}

async function expectListed(azcopy: AzCopy, container: string, tree: Tree): Promise<string> {
  const listed = await azcopy.list(container);
  expectCount('listed names', listed.length, new Set(listed.map((object) => object.path)).size);
  expectNames(
    listed.map((object) => `${object.path} (${object.size} bytes)`),
    [...tree.values()].map((file) => `${file.path} (${file.size} bytes)`),
  );
  return `${listed.length} names`;
}

function expectCount(what: string, found: number, expected: number): void {
  if (found !== expected) throw new Error(`${found} ${what} instead of ${expected}`);
}
