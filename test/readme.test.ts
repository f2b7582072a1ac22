// The README shows what the gates run, to the letter.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '..');
const readme = readFileSync(join(root, 'README.md'), 'utf8');

for (const example of ['azcopy/quickstart.sh', 'js-sdk/quickstart.mjs', 'python-sdk/quickstart.py']) {
  test(`the example of gates/${example} stands in the README`, () => {
    assert.ok(readme.includes(readFileSync(join(root, 'gates', example), 'utf8')));
  });
}
