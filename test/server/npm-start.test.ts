// `npm start` as a newcomer has it: a signal to npm alone, or to all of the terminal, ends the server and leaves nothing.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { eventually, temporaryDirectory } from './program.ts';

const work = temporaryDirectory();
const root = join(import.meta.dirname, '..', '..');

/** The processes of a group that have not ended. */
function membersOf(group: number): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      const [state, , of] = readFileSync(`/proc/${pid}/stat`, 'latin1')
        .replace(/^.*\) /s, '')
        .split(' ');
      return Number(of) === group && state !== 'Z';
    } catch {
      return false;
    }
  });
}

for (const { signal, to } of [
  { signal: 'SIGTERM', to: 'npm' },
  { signal: 'SIGINT', to: 'npm' },
  { signal: 'SIGTERM', to: 'the group' },
  { signal: 'SIGINT', to: 'the group' },
] as const) {
  test(`${signal} to ${to} ends npm start with 0`, { skip: process.platform !== 'linux' }, async () => {
    const words = ['start', '--', '--data', join(work, `${signal} ${to}`), '--blob-port', '0', '--admin-port', '0'];
    const npm = spawn('npm', [...words, '--workers', '2'], {
      cwd: root,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const group = npm.pid as number;
    const closed = once(npm, 'close') as Promise<[number | null, string | null]>;
    try {
      let out = '';
      for (const stream of [npm.stdout, npm.stderr]) stream.on('data', (chunk: Buffer) => (out += chunk.toString()));
      await eventually(
        () => out.includes('causeway ready'),
        'a ready line',
        40_000,
        () => out,
      );
      process.kill(to === 'npm' ? group : -group, signal);
      assert.deepEqual(await closed, [0, null], out);
      assert.deepEqual(membersOf(group), []);
    } finally {
      if (membersOf(group).length > 0) process.kill(-group, 'SIGKILL');
    }
  });
}
