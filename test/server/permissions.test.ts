// Who may read what the server keeps: its owner alone, whatever the umask that it was started with.
import assert from 'node:assert/strict';
import { lstatSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { causeway, eventually, Server, temporaryDirectory } from './program.ts';

const data = join(temporaryDirectory(), 'new', 'data');
const query =
  '<QueryRequest><QueryType>SQL</QueryType><Expression>SELECT * FROM BlobStorage</Expression>' +
  '<InputSerialization><Format><Type>delimited</Type></Format></InputSerialization></QueryRequest>';

/** Every path below, with what others than its owner may do. */
function openToOthers(path: string): string[] {
  const stat = lstatSync(path);
  const mode = stat.mode & 0o7777;
  const found = (mode & 0o077) === 0 ? [] : [`${path} ${mode.toString(8)}`];
  if (!stat.isDirectory()) return found;
  return [...found, ...readdirSync(path).flatMap((name) => openToOthers(join(path, name)))];
}

test('no file, directory or socket of the data can be read by others, with a umask of 0', async () => {
  const before = process.umask(0);
  try {
    const words = ['--data', data];
    const made = await causeway('account', 'create', 'photos', ...words);
    assert.equal(made.code, 0, made.err);
    const server = await Server.start({ data, settings: ['auditFlushMs=20', 'changeFeedFlushMs=20'] });
    try {
      for (const command of [
        ['scope', 'create', 'devstoreaccount1', 'sealed'],
        ['account', 'set', 'devstoreaccount1', 'change-feed=on', 'versioning=on'],
      ]) {
        const done = await causeway(...command, ...words);
        assert.equal(done.code, 0, done.err);
      }
      await server.createContainer('box');
      const sealed = { 'x-ms-encryption-scope': 'sealed' };
      for (const [name, headers] of Object.entries({ plain: {}, sealed })) {
        assert.equal((await server.put(`/box/${name}`, Buffer.from('a,b\n'.repeat(1000)), headers)).status, 201);
        const asked = { 'content-type': 'application/xml' };
        const path = `/box/${name}`;
        const { status } = await server.call({
          method: 'POST',
          path,
          query: 'comp=query',
          headers: asked,
          body: Buffer.from(query),
        });
        assert.ok(status === 200 || name === 'sealed', `${name}: ${status}`);
        assert.deepEqual(openToOthers(data), []);
      }
      assert.equal((await server.fromAdmin('/readyz')).status, 200);
      await eventually(() => readdirSync(join(data, 'audit')).length > 0, 'the audit log is begun');
      assert.deepEqual(openToOthers(data), []);
      const names = readdirSync(data);
      for (const name of ['audit', 'content', 'control.sock', 'encryption.key', 'lock', 'metadata'])
        assert.ok(names.includes(name), `${name} in ${names.join(' ')}`);
    } finally {
      assert.equal(await server.stop(), 0);
    }
    assert.deepEqual(openToOthers(data), []);
    rmSync(join(data, 'lock'));
    assert.equal((await causeway('fsck', ...words)).code, 0);
    assert.equal((await causeway('audit', 'verify', ...words)).code, 0);
    assert.deepEqual(openToOthers(data), []);
  } finally {
    process.umask(before);
  }
});
