// AzCopy's removals, on the containers that the tree was copied to: one blob, a folder, a list, a pattern, all.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { GateContext } from '../gate.ts';
import type { Recorder } from '../recorder.ts';
import { expectNames } from '../tree.ts';
import type { AzCopy } from './client.ts';

export async function checkRemove(context: GateContext, azcopy: AzCopy, checks: Recorder): Promise<void> {
  const names = async (): Promise<string[]> => (await azcopy.list('first')).map((object) => object.path);

  /** What remains after a removal is exactly what does not match; something must have matched. */
  const removes = (what: string, args: (list: string) => readonly string[], gone: (path: string) => boolean) =>
    checks.check(what, async () => {
      const before = await names();
      const expected = before.filter((path) => !gone(path));
      if (expected.length === before.length) throw new Error('there is nothing to remove');
      await azcopy.job(['remove', ...args(join(context.workDir, 'remove.txt')), '--from-to', 'BlobTrash']);
      expectNames(await names(), expected);
      return `${before.length - expected.length} of ${before.length}`;
    });

  const one = 'percent%.txt';
  await removes(
    'remove one blob',
    () => [azcopy.url(`first/${one}`)],
    (path) => path === one,
  );
  await removes(
    'remove a folder',
    () => [azcopy.url('first/odd'), '--recursive'],
    (path) => path.startsWith('odd/'),
  );
  await removes(
    'remove by pattern',
    () => [azcopy.url('first'), '--recursive', '--include-pattern', '*.parquet'],
    (path) => path.endsWith('.parquet'),
  );
  const listed = ['%41.txt', 'dir+plus/a+b.txt', 'trailing dot.', '😀.txt'];
  await writeFile(join(context.workDir, 'remove.txt'), `${listed.join('\n')}\n`);
  await removes(
    'remove by a list of names',
    (list) => [azcopy.url('first'), '--recursive', '--list-of-files', list],
    (path) => listed.includes(path),
  );
  await removes(
    'remove all that is in a container',
    () => [azcopy.url('first/*'), '--recursive'],
    () => true,
  );
}
