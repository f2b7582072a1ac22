// rclone moves the same awkward tree as AzCopy, with its own ideas of listing, blocks, copies and checks.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Gate, GateContext } from '../gate.ts';
import { type Recorder, recorder } from '../recorder.ts';
import { signedRequest } from '../sas.ts';
import {
  changeTree,
  defaultPlan,
  dropFiles,
  expectNames,
  expectTree,
  fullPlan,
  planTree,
  type Tree,
  writeTree,
} from '../tree.ts';
import { builtRclone, debianRclone, type Rclone } from './client.ts';

export const gate: Gate = {
  name: 'rclone',
  slow: false,
  async run(context) {
    if (process.platform !== 'linux') {
      const detail = `the gate installs Debian's rclone, this is ${process.platform}`;
      return [{ check: 'platform', outcome: 'skip', detail, ms: 0 }];
    }
    const checks = recorder(context.log);
    await checkRclone(context, await debianRclone(context), 'SAS', checks);
    if (context.all) await checkRclone(context, await builtRclone(context), 'Shared Key', checks);
    return checks.rows;
  },
};

const hourMs = 3_600_000;

async function checkRclone(context: GateContext, rclone: Rclone, signing: string, checks: Recorder): Promise<void> {
  const tree = planTree(context.all ? fullPlan : defaultPlan);
  const word = signing.toLowerCase().replaceAll(' ', '-');
  const [first, second] = [`az:${word}-first`, `az:${word}-second`];
  const [local, back] = [join(context.workDir, `${word}-tree`), join(context.workDir, `${word}-back`)];
  await writeTree(local, tree.values(), new Date(Date.now() - hourMs));
  await mkdir(back);
  const check = (name: string, work: () => Promise<string | undefined>): Promise<boolean> =>
    checks.check(`${name} (${signing})`, work, { timeoutMs: 600_000 });

  await check('copy up a tree', async () => {
    await rclone.run(['copy', local, first]);
    return rclone.version;
  });
  await check('list names and sizes', () => expectListed(rclone, first, tree));
  await check('check against the source, every byte', async () => {
    const { stderr } = await rclone.run(['check', '--download', local, first]);
    return expectLine(stderr, `${tree.size} matching files`);
  });
  await check('check against the source by MD5', async () => {
    const { stderr } = await rclone.run(['check', local, first]);
    return expectLine(stderr, `${tree.size} matching files`);
  });
  await check('copy down, every byte and checksum', async () => {
    await rclone.run(['copy', first, back]);
    return expectTree(back, tree);
  });
  await check('copy again transfers nothing', async () => {
    const { stderr } = await rclone.run(['copy', '-v', '--stats-one-line', local, first]);
    if (/: Copied \(/.test(stderr)) throw new Error(`it copied: ${stderr.slice(0, 300)}`);
    return undefined;
  });
  await check('copy between containers inside the server', async () => {
    const copy = await rclone.run(['copy', '-v', first, second]);
    const copied = (copy.stderr.match(/: Copied \(server-side copy\)/g) ?? []).length;
    if (copied !== tree.size) throw new Error(`${copied} server-side copies instead of ${tree.size}`);
    const { stderr } = await rclone.run(['check', '--download', local, second]);
    return expectLine(stderr, `${tree.size} matching files`);
  });

  const changed = changeTree(tree);
  await writeTree(local, changed.written, new Date());
  await dropFiles(local, changed.dropped);
  await check('sync up sends what changed and deletes what is gone', async () => {
    await rclone.run(['sync', local, first]);
    await expectListed(rclone, first, changed.tree);
    const { stderr } = await rclone.run(['check', '--download', local, first]);
    return expectLine(stderr, `${changed.tree.size} matching files`);
  });
  await check('sync down brings what changed and deletes what is gone', async () => {
    await rclone.run(['sync', first, back]);
    return expectTree(back, changed.tree);
  });
  await check('check finds what differs', async () => {
    // The second container still holds the tree of before the changes.
    const result = await rclone.attempt(['check', '--download', local, second]);
    if (result.code === 0) throw new Error('it found no difference');
    return undefined;
  });

  await check('move a blob', async () => {
    await rclone.run(['moveto', `${first}/plus+plus.txt`, `${first}/moved here/plus+plus.txt`]);
    const names = await listed(rclone, first);
    expectNames(
      names.filter((name) => name.includes('plus+plus')),
      ['moved here/plus+plus.txt (511 bytes)'],
    );
    return undefined;
  });
  await check('stream in from a pipe, and a range out', async () => {
    const text = Array.from({ length: 200_000 }, (_, n) => `line ${n}\n`).join('');
    await rclone.run(['rcat', '--streaming-upload-cutoff', '1k', `${second}/streamed.txt`], { input: text });
    const { stdout } = await rclone.run(['cat', '--offset', '100000', '--count', '50000', `${second}/streamed.txt`]);
    if (stdout !== text.slice(100_000, 150_000)) throw new Error(`${stdout.length} other characters came back`);
    return undefined;
  });
  await check('set the tier', async () => {
    await rclone.run(['settier', 'Cool', `${second}/streamed.txt`]);
    const path = `${word}-second/streamed.txt`;
    const response = await signedRequest(context.server, { method: 'HEAD', path });
    const tier = response.headers.get('x-ms-access-tier');
    if (tier !== 'Cool') throw new Error(`x-ms-access-tier is ${tier}`);
    return undefined;
  });
  await check('delete one blob', async () => {
    const before = await listed(rclone, second);
    await rclone.run(['deletefile', `${second}/streamed.txt`]);
    expectNames(
      await listed(rclone, second),
      before.filter((name) => !name.startsWith('streamed.txt ')),
    );
    return undefined;
  });
  await check('delete by pattern', async () => {
    const before = await listed(rclone, second);
    await rclone.run(['delete', '--include', '*.parquet', second]);
    const kept = before.filter((name) => !/\.parquet \(/.test(name));
    if (kept.length === before.length) throw new Error('there was nothing to delete');
    expectNames(await listed(rclone, second), kept);
    return `${before.length - kept.length} of ${before.length}`;
  });
  await check('purge containers', async () => {
    for (const container of [first, second]) await rclone.run(['purge', container]);
    const { stdout } = await rclone.run(['lsf', '--dirs-only', 'az:']);
    if (stdout.includes(`${word}-`)) throw new Error(`still there: ${stdout}`);
    return undefined;
  });
}

async function listed(rclone: Rclone, remote: string): Promise<string[]> {
  const args = ['lsf', '--recursive', '--files-only', '--format', 'sp', '--separator', '\t', remote];
  const { stdout } = await rclone.run(args);
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.replace(/^(\d+)\t(.*)$/, '$2 ($1 bytes)'));
}

async function expectListed(rclone: Rclone, remote: string, tree: Tree): Promise<string> {
  const names = await listed(rclone, remote);
  expectNames(
    names,
    [...tree.values()].map((file) => `${file.path} (${file.size} bytes)`),
  );
  return `${names.length} names`;
}

function expectLine(output: string, wanted: string): string {
  if (!output.includes(wanted)) throw new Error(`no "${wanted}" in: ${output.trim().slice(-400)}`);
  return wanted;
}
