// A gate's bar cannot move unseen: missing, additional and changed checks are found.

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { GateRow } from './gate.ts';
import { judge, readExpectations, recordExpectations, writeTable } from './table.ts';

const row = (check: string, outcome: GateRow['outcome'], detail?: string): GateRow =>
  detail === undefined ? { check, outcome, ms: 1 } : { check, outcome, detail, ms: 1 };

async function inDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'gate-table-'));
  try {
    await work(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}

const good = (rows: GateRow[], expected: Awaited<ReturnType<typeof readExpectations>>): boolean => {
  const { verdicts, missing } = judge(rows, expected);
  return missing.length === 0 && verdicts.every((verdict) => verdict.good);
};

test('exactly the expected outcomes are good, and nothing else is', () =>
  inDirectory(async (directory) => {
    const path = join(directory, 'expected.json');
    await writeFile(path, JSON.stringify({ default: { a: 'pass', b: { outcome: 'fail', why: 'a known gap' } } }));
    const expected = await readExpectations(path, false);
    assert.equal(good([row('a', 'pass'), row('b', 'fail')], expected), true);
    assert.equal(good([row('a', 'fail'), row('b', 'fail')], expected), false, 'a pass that fails now');
    assert.equal(good([row('a', 'pass'), row('b', 'pass')], expected), false, 'a fail that passes now');
    assert.equal(good([row('a', 'skip'), row('b', 'fail')], expected), false, 'a pass that is skipped now');
    assert.equal(good([row('a', 'pass')], expected), false, 'a check that is missing');
    assert.equal(good([row('a', 'pass'), row('b', 'fail'), row('c', 'pass')], expected), false, 'one that is new');
  }));

test('the full set expects the default checks and its own', () =>
  inDirectory(async (directory) => {
    const path = join(directory, 'expected.json');
    await writeFile(path, JSON.stringify({ default: { a: 'pass' }, all: { b: 'pass' } }));
    assert.deepEqual([...(await readExpectations(path, false)).keys()], ['a']);
    assert.deepEqual([...(await readExpectations(path, true)).keys()], ['a', 'b']);
  }));

test('without expectations every check is one too many', async () => {
  const expected = await readExpectations(join(tmpdir(), 'no-such-directory', 'expected.json'), false);
  assert.equal(good([row('a', 'pass')], expected), false);
});

test('a failure cannot be expected without a reason, nor anything else than an outcome', () =>
  inDirectory(async (directory) => {
    const path = join(directory, 'expected.json');
    for (const value of [
      { outcome: 'fail' },
      { outcome: 'fail', why: '' },
      'fail',
      true,
      { outcome: 'maybe', why: 'x' },
    ]) {
      await writeFile(path, JSON.stringify({ default: { a: value } }));
      await assert.rejects(readExpectations(path, false), /expected\.json/);
    }
  }));

test('recording one set leaves the other, and keeps reasons written by hand', () =>
  inDirectory(async (directory) => {
    const path = join(directory, 'expected.json');
    await writeFile(
      path,
      JSON.stringify({ default: { a: 'pass', b: { outcome: 'fail', why: 'by hand' } }, all: { c: 'pass' } }),
    );
    await recordExpectations(path, [row('a', 'fail', 'broke'), row('b', 'fail', 'today')], false);
    assert.deepEqual(JSON.parse(await readFile(path, 'utf8')), {
      default: { a: { outcome: 'fail', why: 'broke' }, b: { outcome: 'fail', why: 'by hand' } },
      all: { c: 'pass' },
    });
    await recordExpectations(path, [row('a', 'pass'), row('b', 'fail'), row('d', 'pass')], true);
    const recorded = JSON.parse(await readFile(path, 'utf8')) as { default: object; all: object };
    assert.deepEqual(recorded.all, { a: 'pass', d: 'pass' });
    assert.equal(
      good([row('a', 'pass'), row('b', 'fail'), row('d', 'pass')], await readExpectations(path, true)),
      true,
    );
  }));

test('the table names what was not as expected', () =>
  inDirectory(async (directory) => {
    const path = join(directory, 'expected.json');
    await writeFile(path, JSON.stringify({ default: { a: 'pass', gone: 'pass' } }));
    const judgement = judge([row('a', 'fail', 'one | two\nthree')], await readExpectations(path, false));
    const table = join(directory, 'results', 'x.md');
    await writeTable(table, { gate: 'x', server: 'Causeway', set: 'default' }, judgement);
    const text = await readFile(table, 'utf8');
    assert.match(text, /\| a \| pass \| \*\*fail\*\* \| 1 \| one \\\| two three \|/);
    assert.match(text, /\| gone \| reported \| \*\*missing\*\* \|/);
    assert.match(text, /0 passed, 1 failed, 0 skipped, 1 missing/);
  }));
