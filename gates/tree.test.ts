// The comparison that gates rest on: a tree equals itself, and one byte, one name or one file more is found.

import assert from 'node:assert/strict';
import { mkdtemp, open, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { changeTree, differences, fullPlan, planTree, writeTree } from './tree.ts';

const plan = { seed: 'test', files: 130, largeSizes: [2_500_000], smallBytesMax: 4096 };

test('the same seed plans the same tree, within the limits of names', () => {
  assert.deepEqual(planTree(fullPlan), planTree(fullPlan));
  const tree = planTree(fullPlan);
  assert.equal(tree.size, fullPlan.files);
  assert.ok([...tree.values()].some((file) => file.size === 0));
  assert.ok([...tree.values()].some((file) => file.size === 300_000_000));
  for (const path of tree.keys()) {
    assert.ok(path.length <= 1024, path);
    for (const part of path.split('/')) assert.ok(part !== '' && part !== '.' && part !== '..', path);
  }
});

test('what differs from the tree is found: bytes, lengths, names', { skip: process.platform !== 'linux' }, async () => {
  const directory = await mkdtemp(join(tmpdir(), 'gate-tree-'));
  try {
    const tree = planTree(plan);
    await writeTree(directory, tree.values(), new Date());
    assert.deepEqual(await differences(directory, tree), []);

    const large = join(directory, 'large/2500000 bytes.bin');
    const handle = await open(large, 'r+');
    const { buffer } = await handle.read({ buffer: Buffer.alloc(1), position: 2_000_000, length: 1 });
    await handle.write(Buffer.from([(buffer[0] ?? 0) ^ 0x10]), 0, 1, 2_000_000);
    await handle.close();
    assert.match((await differences(directory, tree)).join(), /2500000 bytes\.bin": other bytes/);

    await truncate(large, 1000);
    assert.match((await differences(directory, tree)).join(), /1000 bytes instead of 2500000/);
    await writeTree(directory, tree.values(), new Date());
    await rename(join(directory, 'Case.txt'), join(directory, 'cASE.txt'));
    await writeFile(join(directory, 'one more'), '');
    const found = await differences(directory, tree);
    assert.deepEqual(found.sort(), ['missing: "Case.txt"', 'unexpected: "cASE.txt"', 'unexpected: "one more"']);

    await rename(join(directory, 'cASE.txt'), join(directory, 'Case.txt'));
    await rm(join(directory, 'one more'));
    const changed = changeTree(tree);
    assert.ok(changed.dropped.length > 0);
    assert.equal((await differences(directory, changed.tree)).length, changed.dropped.length + changed.written.length);
  } finally {
    await rm(directory, { recursive: true });
  }
});
