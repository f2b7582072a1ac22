// What a cut may and may not take away, on records made by hand.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DiskHistory } from './disk-history.ts';
import { type CutOptions, cutImage, sectorBytes } from './images.ts';
import type { RecordedCall } from './record-log.ts';

const root = '/r';
const rootIdentity = 'root';
const seeds = 400;

/** A record of calls one after the other; the number of a call's start is twice its place in the record. */
function record(...calls: (Partial<RecordedCall> & Pick<RecordedCall, 'type'>)[]): DiskHistory {
  const whole = calls.map((call, index): RecordedCall => {
    const defaults = { file: 'f', offset: 0, path: '/r/f', target: '', data: Buffer.alloc(0), synced: false };
    return { ...defaults, start: index * 2, end: index * 2 + 1, ...call };
  });
  return new DiskHistory(whole, root, rootIdentity);
}

/** The different contents that one path can have after a cut before the call with this place in the record. */
function outcomes(history: DiskHistory, path: string, place: number, options: Partial<CutOptions> = {}): Set<string> {
  const found = new Set<string>();
  for (let seed = 0; seed < seeds; seed++) {
    const { tree } = cutImage(history, place * 2, { seed, names: 'strict', ignoredSyncs: 'none', ...options });
    found.add(tree.get(path)?.toString('latin1') ?? 'absent');
  }
  return found;
}

const letters = (letter: string, count = sectorBytes): Buffer => Buffer.alloc(count, letter);
const text = (...parts: [string, number?][]): string => parts.map(([letter, count]) => letters(letter, count)).join('');
const created = [{ type: 'C' }, { type: 'D', file: rootIdentity }] as const;

describe('a cut image', () => {
  test('has everything that was synced before the cut', () => {
    const history = record(...created, { type: 'W', data: letters('a') }, { type: 'S' });
    assert.deepEqual(outcomes(history, 'f', 4), new Set([text(['a'])]));
  });

  test('may lose what a sync had not finished', () => {
    const history = record(...created, { type: 'W', data: letters('a') }, { type: 'S' });
    const during = outcomes(history, 'f', 3.5);
    assert.ok(during.has('') && during.has(text(['a'])));
  });

  test('may lose a write that began before the sync and ended after it began', () => {
    const write = { type: 'W', data: letters('a'), start: 4, end: 7 } as const;
    const history = record(...created, write, { type: 'S', start: 6, end: 8 });
    assert.ok(outcomes(history, 'f', 5).has(''));
  });

  test('knows nothing of what began after the cut', () => {
    const history = record(...created, { type: 'W', data: letters('a') }, { type: 'S' });
    assert.deepEqual(outcomes(history, 'f', 2), new Set(['']));
  });

  test('keeps, loses and tears an unsynced write by sectors, and its size apart from it', () => {
    const history = record(...created, { type: 'W', data: letters('a', 2 * sectorBytes) });
    const found = outcomes(history, 'f', 3);
    const zeros: [string, number?] = ['\0'];
    for (const outcome of ['', text(['a'], ['a']), text(['a'], zeros), text(zeros, ['a']), text(zeros, zeros)])
      assert.ok(found.has(outcome), JSON.stringify(outcome));
    assert.equal(found.size, 5);
  });

  test('may hold a later write without an earlier one, but in one sector only after it', () => {
    const history = record(
      ...created,
      { type: 'W', data: letters('.', 2 * sectorBytes) },
      { type: 'S' },
      { type: 'W', data: letters('a', 10) },
      { type: 'W', data: letters('b', 10), offset: 10 },
      { type: 'W', data: letters('c'), offset: sectorBytes },
    );
    const firsts = new Set<string>();
    const whole = outcomes(history, 'f', 7);
    for (const outcome of whole) firsts.add(outcome.slice(0, 20));
    assert.deepEqual(
      firsts,
      new Set(['.'.repeat(20), 'a'.repeat(10) + '.'.repeat(10), 'a'.repeat(10) + 'b'.repeat(10)]),
    );
    assert.ok(whole.has(text(['.'], ['c'])), 'the later write alone');
  });

  test('does not bring back what a truncation that is there had cut off', () => {
    const history = record(
      ...created,
      { type: 'W', data: letters('a', 2 * sectorBytes) },
      { type: 'S' },
      { type: 'T', offset: 0 },
      { type: 'W', data: letters('b'), offset: sectorBytes },
    );
    for (const outcome of outcomes(history, 'f', 6)) {
      const isBefore = outcome.length === 2 * sectorBytes && outcome[0] === 'a';
      const isAfter = !outcome.includes('a');
      assert.ok(isBefore || isAfter, JSON.stringify(outcome.slice(0, 3)));
    }
  });

  test('keeps a write of O_DSYNC', () => {
    const history = record(...created, { type: 'W', data: letters('a'), synced: true });
    assert.deepEqual(outcomes(history, 'f', 3), new Set([text(['a'])]));
  });

  test('loses a name whose directory was not synced, but on ext4 when its file was', () => {
    const history = record({ type: 'C' }, { type: 'W', data: letters('a') }, { type: 'S' });
    assert.deepEqual(outcomes(history, 'f', 3), new Set(['absent', text(['a'])]));
    assert.deepEqual(outcomes(history, 'f', 3, { names: 'ext4' }), new Set([text(['a'])]));
  });

  test('has a rename as a whole or not at all', () => {
    const write = { type: 'W', data: letters('a') } as const;
    const history = record(...created, write, { type: 'S' }, { type: 'R', path: '/r/f', target: '/r/g' });
    for (let seed = 0; seed < seeds; seed++) {
      const { tree } = cutImage(history, 10, { seed, names: 'strict', ignoredSyncs: 'none' });
      assert.equal(tree.size, 1);
    }
    assert.equal(outcomes(history, 'g', 5).size, 2);
  });

  test('may bring back a file whose removal was not synced', () => {
    const history = record(...created, { type: 'W', data: letters('a') }, { type: 'S' }, { type: 'U' });
    assert.deepEqual(outcomes(history, 'f', 5), new Set(['absent', text(['a'])]));
    const synced = record(...created, { type: 'U' }, { type: 'D', file: rootIdentity });
    assert.deepEqual(outcomes(synced, 'f', 4), new Set(['absent']));
  });

  test('loses what is below a directory whose name was lost', () => {
    const history = record(
      { type: 'M', path: '/r/d', file: 'd' },
      { type: 'C', path: '/r/d/f' },
      { type: 'W', data: letters('a') },
      { type: 'S' },
      { type: 'D', file: 'd' },
    );
    assert.deepEqual(outcomes(history, 'd/f', 5), new Set(['absent', text(['a'])]));
  });

  test('as a control, disbelieves syncs', () => {
    const history = record(...created, { type: 'W', data: letters('a') }, { type: 'S' });
    assert.ok(outcomes(history, 'f', 4, { ignoredSyncs: 'metadata' }).has(''));
    assert.equal(outcomes(history, 'f', 4, { ignoredSyncs: 'content' }).size, 1);
    assert.ok(outcomes(history, 'f', 4, { ignoredSyncs: 'directories' }).has('absent'));
  });

  test('comes back from its seed', () => {
    const history = record(...created, { type: 'W', data: letters('a', 8 * sectorBytes) });
    const cut = (seed: number) => cutImage(history, 6, { seed, names: 'strict', ignoredSyncs: 'none' }).tree.get('f');
    for (let seed = 0; seed < 20; seed++) assert.deepEqual(cut(seed), cut(seed));
  });
});
