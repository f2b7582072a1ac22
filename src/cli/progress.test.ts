// The line of progress: when it is shown, and that nothing of it is left.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProgressLine } from './progress.ts';

test('a line is shown when something takes long, now and then, and goes away', () => {
  let nowMs = 0;
  const written: string[] = [];
  let asked = 0;
  const line = new ProgressLine({ columns: 12, write: (text) => written.push(text) }, () => nowMs);
  const say = () => {
    asked++;
    return `${nowMs} ms of a long time`;
  };
  line.show(say);
  line.clear();
  assert.deepEqual([written, asked], [[], 0], 'what is done soon shows nothing');
  for (nowMs = 400; nowMs <= 700; nowMs += 50) line.show(say);
  assert.deepEqual(written, ['\r\u001b[K400 ms of a', '\r\u001b[K550 ms of a', '\r\u001b[K700 ms of a']);
  assert.equal(asked, 3);
  line.clear();
  line.clear();
  assert.deepEqual(written.slice(3), ['\r\u001b[K']);
});
