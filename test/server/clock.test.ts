// A server whose machine had its clock set back while it was down: its store's time goes on, and nobody's signature suffers.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Mark, makeMark, readMark } from '../../src/metadata/commit-mark.ts';
import { eventually, Server, temporaryDirectory } from './program.ts';

const work = temporaryDirectory();
const hourMs = 3_600_000;

/** As if the clock had stood so much further on at the last commit. */
function setAhead(data: string, byMs: number): void {
  const path = join(data, 'metadata', 'meta.db');
  const { mark } = readMark(path) as { mark: Mark };
  makeMark(path, { ...mark, timeMs: mark.timeMs + byMs });
}

test('what is written then is newer than what was written before, and requests are dated by the machine’s clock', async () => {
  const data = join(work, 'back');
  const first = await Server.start({ data });
  assert.equal((await first.createContainer('box')).status, 201);
  assert.equal(await first.stop(), 0);
  setAhead(data, hourMs);
  const startMs = Date.now();
  const second = await Server.start({ data });
  try {
    const times = [];
    for (let index = 0; index < 8; index++) {
      const { status, headers } = await second.put(`/box/${index}`, Buffer.from('x'));
      assert.equal(status, 201, 'a signature dated now is good');
      times.push(Date.parse(headers['last-modified'] as string));
      assert.ok(Math.abs(Date.parse(headers.date as string) - Date.now()) < 60_000);
    }
    // The workers take turns: all of them have the store's time.
    for (const timeMs of times) assert.ok(timeMs > startMs + hourMs - 60_000 && timeMs < Date.now() + hourMs + 1000);
    assert.deepEqual(times, times.toSorted());
    const isWarned = (): boolean => second.logLines().some((line) => line.includes('clock was set back'));
    await eventually(isWarned, 'a warning');
  } finally {
    assert.equal(await second.stop(), 0);
  }
});

test('a time that only a wrong clock can have had is forgotten', async () => {
  const data = join(work, 'wrong');
  const first = await Server.start({ data, workers: 1 });
  assert.equal((await first.createContainer('box')).status, 201);
  assert.equal(await first.stop(), 0);
  setAhead(data, 365 * 24 * hourMs);
  const second = await Server.start({ data, workers: 1 });
  try {
    const { headers } = await second.put('/box/a', Buffer.from('x'));
    assert.ok(Math.abs(Date.parse(headers['last-modified'] as string) - Date.now()) < 60_000);
  } finally {
    assert.equal(await second.stop(), 0);
  }
});
