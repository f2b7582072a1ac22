// The recorder's own proof: what is rebuilt from the record is what is on the disk, byte for byte.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { DiskHistory } from './disk-history.ts';
import { Recorder, recorderMissing } from './recorder.ts';

const missing = recorderMissing();
const fixture = fileURLToPath(new URL('./recorder.fixture.mjs', import.meta.url));

describe('the recorder', { skip: missing }, () => {
  const directories: string[] = [];
  after(() => {
    for (const directory of directories) rmSync(directory, { recursive: true });
  });

  function record(...script: string[]): Recorder {
    const work = mkdtempSync(join(tmpdir(), 'causeway-recorder-'));
    directories.push(work);
    const root = join(work, 'data');
    mkdirSync(root);
    const recorder = new Recorder(root, work);
    const done = spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', ...script, root], {
      env: { ...process.env, ...recorder.environment },
      encoding: 'utf8',
      timeout: 60_000,
    });
    assert.equal(done.stderr, '');
    return recorder;
  }

  test('misses no change that Node or SQLite makes, in two processes, up to a SIGKILL', () => {
    const recorder = record(fixture);
    const calls = recorder.calls();
    recorder.close();
    const history = new DiskHistory(calls, recorder.root, recorder.rootIdentity);
    assert.deepEqual(history.differences(), []);
    const tree = history.finalTree();
    for (const path of ['meta.db', 'meta.db-wal', 'a/moved', 'a/linked', 'renamed-directory/c/later', 'appended'])
      assert.ok((tree.get(path)?.length ?? 0) > 0, path);
    for (const type of ['C', 'W', 'T', 'S', 'D', 'M', 'U', 'R', 'L', 'I'])
      assert.ok(
        calls.some((call) => call.type === type),
        `no call of type ${type}`,
      );
    for (const call of calls) assert.ok(call.start < call.end);
  });

  test('finds a record from which one write is missing', () => {
    const recorder = record(fixture);
    const calls = recorder.calls();
    recorder.close();
    const lost = calls.findLastIndex((call) => call.type === 'W' && call.data.length > 1000);
    const history = new DiskHistory(calls.toSpliced(lost, 1), recorder.root, recorder.rootIdentity);
    assert.equal(history.differences().length, 1);
  });

  test('refuses a record of what it cannot express', () => {
    const script = `const fs = require('fs'); const root = process.argv.at(-1);
      fs.writeFileSync(root + '/one', 'bytes'); fs.copyFileSync(root + '/one', root + '/two');`;
    const recorder = record('-e', script);
    assert.throws(() => recorder.calls(), /cannot express this call: (copy_file_range|sendfile)/);
    recorder.close();
  });
});
