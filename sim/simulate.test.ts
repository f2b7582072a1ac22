// The simulation itself: it replays exactly, and it notices when what keeps data safe is switched off.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Break, simulate } from './simulate.ts';

test('a seed replays exactly', async () => {
  for (const seed of [1, 2, 3]) {
    const lines: string[][] = [[], []];
    const first = await simulate({ seed, log: (line) => lines[0]?.push(line) });
    const second = await simulate({ seed, log: (line) => lines[1]?.push(line) });
    assert.deepEqual(first, second);
    assert.deepEqual(lines[0], lines[1]);
    assert.equal(first.violation, undefined);
  }
});

test('a run meets crashes, faults, moves and deletions, or it would prove little', async () => {
  const total = { crashes: 0, faults: 0, movedExtents: 0, deletedSegments: 0, orphans: 0 };
  for (let seed = 1; seed <= 40; seed++) {
    const { counts } = await simulate({ seed });
    for (const name of Object.keys(total) as (keyof typeof total)[]) total[name] += counts[name];
  }
  for (const [name, count] of Object.entries(total)) assert.ok(count > 10, `${name}: ${count}`);
});

for (const [breaks, what] of [
  ['sync', 'a disk that only says it synced'],
  ['order', 'metadata that commits before its bytes are durable'],
  ['reclaim', 'a segment that is retired with what is in it'],
] as const satisfies readonly (readonly [Break, string])[]) {
  test(`${what} is found within three dozen seeds`, async () => {
    let found: string | undefined;
    for (let seed = 1; seed <= 36 && found === undefined; seed++) {
      ({ violation: found } = await simulate({ seed, breaks }));
    }
    assert.ok(found !== undefined);
  });
}
