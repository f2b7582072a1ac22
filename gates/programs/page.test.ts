// The pages of docs/recipes and the programs of the gate are the same, and each page can be run somewhere else.
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { hostSuffix, pagesDir, readPage } from './page.ts';
import { programs } from './programs.ts';

const elsewhere = { server: '127.0.0.9:1', port: '1', listener: '127.0.0.9:2' };
const names = readdirSync(pagesDir)
  .filter((file) => file.endsWith('.md') && file !== 'README.md')
  .map((file) => file.slice(0, -'.md'.length));

test('every page has its program, and the index says when it is run', () => {
  assert.deepEqual(names.toSorted(), programs.map(({ name }) => name).toSorted());
  const index = [...readPage('README').text.matchAll(/^\| \[[^\]]+\]\((\S+)\.md\) \| .* \| (\S+) \|$/gm)];
  const said = index.map(([, page, run]) => `${page} ${run}`).toSorted();
  assert.deepEqual(said, programs.map(({ name, slow }) => `${name} ${slow ? '`--all`' : 'always'}`).toSorted());
});

for (const name of ['README', ...names]) {
  const page = readPage(name);
  const { shell, files } = page.script(elsewhere);
  const run = [shell, ...Object.values(files)].join('');

  test(`${name}: what is run names no address but those that the gate replaces`, () => {
    assert.ok(run.includes(elsewhere.server) || run.includes(`${hostSuffix}:${elsewhere.port}`));
    const addresses = [...run.matchAll(/(?:\d+\.){3}\d+:\d+|\blocalhost:\d+|causeway\.example:\d+/g)].map(([at]) => at);
    const known = [elsewhere.server, elsewhere.listener, `${hostSuffix}:${elsewhere.port}`];
    assert.deepEqual(
      addresses.filter((address) => !known.includes(address)),
      [],
    );
  });

  test(`${name}: its links lead somewhere`, () => {
    for (const [, target = ''] of page.text.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)) {
      assert.ok(existsSync(join(pagesDir, target)), target);
    }
  });

  if (name === 'README') continue;
  test(`${name}: it says what it prints, and pins what it installs`, () => {
    assert.notDeepEqual(page.prints, []);
    for (const one of page.requirements) assert.match(one, /^[\w-]+(?:\[\w+\])?==[\d.]+$/);
    for (const one of page.goPrograms) assert.match(one, /^[\w./-]+@v[\d.]+$/);
  });
}
