// The key file: who may read it, who makes it, and what its absence does.
import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../base/clock.ts';
import { systemRandom } from '../base/random.ts';
import { KeyError } from '../namespace/keyring.ts';
import { LocalKey } from './local-key.ts';

class Held implements AsyncDisposable {
  readonly directory: string;
  readonly path: string;
  readonly keys: LocalKey;
  static async open(): Promise<Held> {
    return new Held(await mkdtemp(join(tmpdir(), 'causeway-key-')));
  }
  private constructor(directory: string) {
    this.directory = directory;
    this.path = join(directory, 'keys', 'encryption.key');
    this.keys = this.another();
  }
  another(): LocalKey {
    return new LocalKey({ path: this.path, clock: systemClock, random: systemRandom });
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.directory, { recursive: true });
  }
}

const key = systemRandom.bytes(32);

function refused(what: RegExp) {
  return (error: unknown) => {
    assert(error instanceof KeyError && error.problem === 'key-not-found', String(error));
    assert.match(error.message, what);
    return true;
  };
}

test('the file is made on first use, for its owner alone, and other processes use the same', async () => {
  await using held = await Held.open();
  const wrapped = await held.keys.wrap(undefined, key);
  assert.equal((await stat(held.path)).mode & 0o777, 0o600);
  assert.equal(wrapped.wrapped.indexOf(key), -1);
  assert.deepEqual(await held.another().unwrap(undefined, wrapped), key);
  const again = await held.another().wrap(undefined, key);
  assert.equal(again.keyVersion, wrapped.keyVersion);
  assert.notDeepEqual(again.wrapped, wrapped.wrapped);
});

test('two that make it at once end up with one file', async () => {
  await using held = await Held.open();
  const makers = Array.from({ length: 8 }, () => held.another());
  const wrapped = await Promise.all(makers.map((keys) => keys.wrap(undefined, key)));
  for (const one of wrapped) assert.deepEqual(await held.keys.unwrap(undefined, one), key);
});

test('a file that others can read is refused', async () => {
  await using held = await Held.open();
  const wrapped = await held.keys.wrap(undefined, key);
  for (const mode of [0o640, 0o604, 0o660, 0o601]) {
    await chmod(held.path, mode);
    await assert.rejects(held.keys.unwrap(undefined, wrapped), refused(/its mode must be 600/));
    await assert.rejects(held.keys.wrap(undefined, key), refused(/its mode must be 600/));
  }
  await chmod(held.path, 0o600);
  assert.deepEqual(await held.keys.unwrap(undefined, wrapped), key);
});

test('taking the file away takes the key away, and unwrapping never makes a new one', async () => {
  await using held = await Held.open();
  const wrapped = await held.keys.wrap(undefined, key);
  const text = await readFile(held.path, 'utf8');
  await unlink(held.path);
  await assert.rejects(held.keys.unwrap(undefined, wrapped), refused(/has no version/));
  await assert.rejects(stat(held.path));
  await writeFile(held.path, text, { mode: 0o600 });
  assert.deepEqual(await held.keys.unwrap(undefined, wrapped), key);
});

test('a new version wraps from now on, and the old one still unwraps', async () => {
  await using held = await Held.open();
  const before = await held.keys.wrap(undefined, key);
  await held.keys.renew();
  const after = await held.another().wrap(undefined, key);
  assert.notEqual(after.keyVersion, before.keyVersion);
  assert.deepEqual(await held.keys.unwrap(undefined, before), key);
  assert.deepEqual(await held.keys.unwrap(undefined, after), key);
  await assert.rejects(
    held.keys.unwrap(undefined, { ...after, keyVersion: before.keyVersion }),
    refused(/does not unwrap/),
  );
});

test('what is no key file is refused without repeating what it holds', async () => {
  await using held = await Held.open();
  const wrapped = await held.keys.wrap(undefined, key);
  for (const text of [
    '',
    'secret words',
    '{}',
    '{"format":1,"versions":[]}',
    '{"format":1,"versions":[{"version":"a","key":"c2hvcnQ="}]}',
  ]) {
    await writeFile(held.path, text);
    await assert.rejects(held.keys.unwrap(undefined, wrapped), (error) => {
      assert(error instanceof KeyError && /is not a key file/.test(error.message));
      assert(!error.message.includes('secret') && !error.message.includes('c2hvcnQ'));
      return true;
    });
    await assert.rejects(held.keys.wrap(undefined, key), KeyError);
    assert.equal(await readFile(held.path, 'utf8'), text, 'and it is not written over');
  }
});
