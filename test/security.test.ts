// docs/security.md names a test for every threat: each of them is there. And secrets are compared in constant time.
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';

const root = join(import.meta.dirname, '..');
const page = readFileSync(join(root, 'docs', 'security.md'), 'utf8');
const rows = page
  .split('\n')
  .filter((line) => line.startsWith('|') && !/^\|(---|\s*Threat)/.test(line))
  .map((line) => line.slice(1, -1).split(/(?<!\\)\|/));

/** As the name stands in the file, whole; what is filled in may come before it. */
function hasTest(source: string, name: string): boolean {
  return ["'", '`', '"'].some((quote) => source.includes(`${quote}${name}${quote}`)) || source.includes(`: ${name}\``);
}

describe('docs/security.md', () => {
  test('has rows of three columns', () => {
    assert.ok(rows.length >= 35, `${rows.length}`);
    for (const row of rows) assert.equal(row.length, 3, row.join('|'));
  });
  for (const [threat = '', , shown = ''] of rows) {
    test(`shows what stops: ${threat.trim()}`, () => {
      const named = shown.trim().split('<br>');
      for (const one of named) {
        const [, path = '', name = ''] = /^`([^`]+)` › (.+)$/.exec(one) ?? [];
        assert.ok(path !== '' && name !== '', `not a file and a name: ${one}`);
        assert.ok(hasTest(readFileSync(join(root, path), 'utf8'), name), `${path} has no test "${name}"`);
      }
    });
  }
});

/** Names that hold what only its owner may know. `undefined`, lengths and kinds are no secrets. */
const comparison =
  /\b(\w*(?:signature|secret|password|hmac|commitment|accountKey|Token)\w*)\s*[!=]==(?!\s*(?:undefined\b|null\b|''|'[a-z-]+'))/i;
const allowed = /\.(length|kind)\s*[!=]==/;

test('no secret is compared by ===', () => {
  const found: string[] = [];
  const files = globSync('src/{identity,namespace,surfaces,server,content}/**/*.ts', { cwd: root });
  for (const file of files.filter((path) => !/\.(test|testing|fuzz)\.ts$/.test(path))) {
    const lines = readFileSync(join(root, file), 'utf8').split('\n');
    for (const [index, line] of lines.entries()) {
      if (comparison.test(line) && !allowed.test(line)) found.push(`${file}:${index + 1}: ${line.trim()}`);
    }
  }
  assert.deepEqual(found, []);
  // The rule finds what it is for.
  assert.match('if (signature === expected) return', comparison);
  assert.match(readFileSync(join(root, 'src/identity/account-key.ts'), 'utf8'), /timingSafeEqual\(/);
});
