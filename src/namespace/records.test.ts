// The packed form of pieces: six numbers, whatever a piece says.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LogPiece } from '../content/extent.ts';
import { numbersAPiece, packPieces, unpackPieces } from './records.ts';

test('pieces come back from their numbers, sealed ones with the mark of their envelope', () => {
  const marks = [undefined, 0, 1, 2 ** 21 - 1, 2 ** 21, 2 ** 32 - 1, 2 ** 32, 2 ** 52 + 12_345, 2 ** 53 - 1];
  const pieces: LogPiece[] = [];
  for (const sealed of marks) {
    for (const extentLength of [1, 200, 2 ** 20 - 192, 2 ** 21 - 1]) {
      for (const sum of [0, 1, 2 ** 32 - 1]) {
        const piece = { segment: 7, offset: 4096, extentLength, sum, start: 3, length: 5 };
        pieces.push(sealed === undefined ? piece : { ...piece, sealed });
      }
    }
  }
  const numbers = JSON.parse(JSON.stringify(packPieces(pieces))) as number[];
  assert.equal(numbers.length, pieces.length * numbersAPiece);
  assert(numbers.every(Number.isSafeInteger));
  assert.deepEqual(unpackPieces(numbers), pieces);
});
