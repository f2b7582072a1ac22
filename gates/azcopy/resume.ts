// AzCopy killed in the middle of uploads, and the job resumed to its end.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { GateContext } from '../gate.ts';
import type { Recorder } from '../recorder.ts';
import { createContainer, signedRequest } from '../sas.ts';
import { expectTree, type Tree, type TreeFile, writeTree } from '../tree.ts';
import type { AzCopy } from './client.ts';

const mebi = 1024 * 1024;
const pollMs = 100;
const killTimeoutMs = 60_000;

export async function checkResume(context: GateContext, azcopy: AzCopy, checks: Recorder): Promise<void> {
  const { server, workDir, all } = context;
  await createContainer(server, 'resume');
  await createContainer(server, 'resume-many');
  const timeoutMs = 300_000;

  await checks.check(
    'a killed upload of one big file is resumed',
    async () => {
      const size = (all ? 200 : 40) * mebi + 1;
      const tree = treeOf([{ path: 'big.bin', size, version: 1 }]);
      const local = join(workDir, 'resume');
      await writeTree(local, tree.values(), new Date());
      const args = [
        'copy',
        join(local, 'big.bin'),
        azcopy.url('resume/big.bin'),
        '--from-to',
        'LocalBlob',
        '--put-md5',
      ];
      let blocks = 0;
      const jobId = await azcopy.killed(
        [...args, '--block-size-mb', '1', '--cap-mbps', all ? '160' : '80'],
        async () => {
          await until(async () => {
            blocks = await uncommittedBlocks(context, 'resume/big.bin');
            return blocks >= 5;
          });
        },
      );
      if ((await status(context, 'resume/big.bin')) !== 404) throw new Error('the blob is there before its job ended');
      await azcopy.job(['jobs', 'resume', jobId, '--destination-sas', azcopy.sas]);
      const back = join(workDir, 'resumed');
      await mkdir(back);
      await azcopy.job([
        ...['copy', azcopy.url('resume/big.bin'), join(back, 'big.bin'), '--from-to', 'BlobLocal'],
        ...['--check-md5', 'FailIfDifferentOrMissing'],
      ]);
      await expectTree(back, tree);
      const left = await uncommittedBlocks(context, 'resume/big.bin');
      if (left !== 0) throw new Error(`${left} uncommitted blocks are left`);
    },
    { timeoutMs },
  );

  await checks.check(
    'a killed upload of many files does not send again what was done',
    async () => {
      const files = Array.from({ length: 24 }, (_, n) => ({ path: `file-${n}.bin`, size: mebi + n, version: 1 }));
      const tree = treeOf(files);
      const local = join(workDir, 'resume-many');
      await writeTree(local, tree.values(), new Date());
      const target = azcopy.url('resume-many');
      const args = ['copy', join(local, '*'), target, '--from-to', 'LocalBlob', '--recursive', '--put-md5'];
      const jobId = await azcopy.killed([...args, '--cap-mbps', '40'], async () => {
        await until(async () => (await etags(context, tree)).size >= 4);
      });
      const before = await etags(context, tree);
      if (before.size >= files.length) throw new Error('the job was done before it was killed');
      const summary = await azcopy.job(['jobs', 'resume', jobId, '--destination-sas', azcopy.sas]);
      const after = await etags(context, tree);
      const sentAgain = [...before].filter(([path, etag]) => after.get(path) !== etag).length;
      // What was on its way when the kill came is sent again: at most as many as there are connections.
      if (sentAgain > 16 || sentAgain === before.size) {
        throw new Error(`${sentAgain} of ${before.size} finished files were sent again`);
      }
      const back = join(workDir, 'resumed-many');
      await mkdir(back);
      await azcopy.job([
        ...['copy', azcopy.url('resume-many/*'), back, '--from-to', 'BlobLocal', '--recursive'],
        ...['--check-md5', 'FailIfDifferentOrMissing'],
      ]);
      await expectTree(back, tree);
      if (summary.completed !== files.length) throw new Error(`${summary.completed} transfers are counted as done`);
    },
    { timeoutMs },
  );
}

function treeOf(files: readonly TreeFile[]): Tree {
  return new Map(files.map((file) => [file.path, file]));
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + killTimeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`the moment to kill did not come within ${killTimeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

async function uncommittedBlocks(context: GateContext, path: string): Promise<number> {
  const query = { comp: 'blocklist', blocklisttype: 'uncommitted' };
  const response = await signedRequest(context.server, { method: 'GET', path, query });
  const text = await response.text();
  return response.status === 200 ? (text.match(/<Block>/g) ?? []).length : 0;
}

async function status(context: GateContext, path: string): Promise<number> {
  return (await signedRequest(context.server, { method: 'HEAD', path })).status;
}

async function etags(context: GateContext, tree: Tree): Promise<Map<string, string>> {
  const result = new Map<string, string>();
  for (const path of tree.keys()) {
    const response = await signedRequest(context.server, { method: 'HEAD', path: `resume-many/${path}` });
    const etag = response.headers.get('etag');
    if (response.status === 200 && etag) result.set(path, etag);
  }
  return result;
}
