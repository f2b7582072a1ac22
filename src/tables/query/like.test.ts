// LIKE by an automaton is LIKE.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { seededRandom } from '../../base/random.ts';
import { Database } from './database.ts';
import { likeSql } from './like.ts';
import { query } from './run.testing.ts';
import { text } from './sql.ts';

test('an automaton finds what the engine finds', async () => {
  const scratch = await mkdtemp(join(tmpdir(), 'causeway-like-'));
  const random = seededRandom(21);
  const some = (characters: readonly string[], most: number): string =>
    Array.from({ length: random.below(most) }, () => characters[random.below(characters.length)]).join('');
  const plain = ['a', 'b', 'é', '𝛑', '\n', '.', '*', '\\', '(', ']', '$', '!', '|'];
  try {
    const limits = { memoryBytes: 2 ** 26, scratchBytesMax: 2 ** 22 };
    await using database = await Database.open({ path: join(scratch, 'none'), scratch, ...limits });
    let automata = 0;
    let found = 0;
    for (let round = 0; round < 40; round++) {
      const checks = Array.from({ length: 50 }, () => {
        const mark = [undefined, '!', '\\', '%', 'a'][random.below(5)];
        // The engine refuses a pattern that ends with its mark.
        const pattern = `${some([...plain, '%', '%', '%', '_', '_'], 9)}%b`;
        const value = text(`${some(plain, 4)}a${some(plain, 4)}b`);
        const own = likeSql(value, text(pattern), mark, pattern);
        if (own.startsWith('regexp')) automata++;
        return { pattern, sql: `${own}, ${likeSql(value, text(pattern), mark)}` };
      });
      const [row] = await database.rows(`SELECT ${checks.map(({ sql }) => sql).join(', ')}`);
      checks.forEach(({ pattern, sql }, at) => {
        assert.equal(row?.[2 * at], row?.[2 * at + 1], `${pattern}: ${sql}`);
        if (row?.[2 * at] === true) found++;
      });
    }
    assert.ok(automata > 300 && found > 200, `${automata} ${found}`);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
});

test('a pattern that would be tried out for hours is not', { timeout: 60_000 }, async () => {
  const content = `${'a'.repeat(1_000_000)}\n`;
  for (const like of [`'%a_%a_%a_%b'`, `'%a%b' ESCAPE '!'`, `'%a%a%a%a%a%a%a%b'`]) {
    const { text: answer, faults } = await query(`SELECT COUNT(*) FROM BlobStorage WHERE _1 LIKE ${like}`, content);
    assert.deepEqual([answer, faults], ['0\n', []], like);
  }
});
