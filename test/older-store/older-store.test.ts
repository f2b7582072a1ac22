// Stores that earlier programs wrote open as they were: each kept one is sound, and answers what it answered then.
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { zstdDecompressSync } from 'node:zlib';
import { causeway, Server, temporaryDirectory } from '../server/program.ts';
import { ask, folder, kept, type Picture } from './picture.ts';

for (const name of readdirSync(folder)) {
  test(`the store '${name}' opens, and answers as it did`, async () => {
    const data = join(temporaryDirectory(), name);
    const files = JSON.parse(zstdDecompressSync(readFileSync(kept(name).store)).toString()) as Record<string, string>;
    for (const [path, bytes] of Object.entries(files)) {
      mkdirSync(join(data, dirname(path)), { recursive: true, mode: 0o700 });
      writeFileSync(join(data, path), Buffer.from(bytes, 'base64'), { mode: 0o600 });
    }
    const server = await Server.start({ data });
    try {
      const before = JSON.parse(readFileSync(kept(name).answers, 'utf8')) as Picture;
      const now = await ask(server);
      assert.deepEqual(Object.keys(now), Object.keys(before));
      for (const [asked, answer] of Object.entries(before)) assert.equal(now[asked], answer, asked);
      const body = Buffer.from('after');
      assert.equal((await server.put('/plain/inline', body, { 'content-type': 'text/plain' })).status, 201);
      assert.deepEqual((await server.call({ path: '/plain/inline' })).body, body);
    } finally {
      assert.equal(await server.stop(), 0);
    }
    const { code, out, err } = await causeway('fsck', '--data', data);
    assert.equal(code, 0, out + err);
  });
}
