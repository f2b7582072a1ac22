// The two bounds of a process's memory: what the kernel gives it, and what it is seen to hold.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { limitedNode, residentBytes } from './engine-memory.ts';

test('the kernel gives a process what it may have, and not much more', { skip: process.platform !== 'linux' }, () => {
  const { execPath, execArgv } = limitedNode(2 ** 27, []);
  const take = (mebibytes: number): string => {
    const script = `for (let n = 0; n < ${mebibytes / 64}; n++) (globalThis.all ??= []).push(Buffer.alloc(2 ** 26, 1)); console.log('got it')`;
    return spawnSync(execPath, [...execArgv, '-e', script], { encoding: 'utf8' }).stdout;
  };
  assert.equal(take(512), 'got it\n');
  assert.equal(take(4096), '');
});

test('what a process holds is seen from outside, and nothing of one that is gone', async () => {
  const before = process.memoryUsage.rss();
  const seen = await residentBytes(process.pid);
  assert.ok(seen !== undefined && seen > before / 2 && seen < 2 * process.memoryUsage.rss(), `${seen} ${before}`);
  // No process has this number.
  assert.equal(await residentBytes(4_194_305), undefined);
});
