// Stored bytes that are not what was written: an error before anything is sent, and nowhere a record that says success.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readdirSync, readFileSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { structuredBody } from '../../src/codec/structured-message.ts';

import { eventually, Server, temporaryDirectory } from './program.ts';

const data = join(temporaryDirectory(), 'data');
const length = 5_000_000;
let server: Server;

before(async () => {
  server = await Server.start({ data, workers: 1, settings: ['auditFlushMs=50'] });
  await server.createContainer('box');
});
after(async () => {
  assert.equal(await server.stop(), 0);
});

/** Flips one bit of the content, wherever it is stored. */
function damage(content: Buffer, at: number): void {
  const mark = content.subarray(at, at + 64);
  for (const name of readdirSync(join(data, 'content'))) {
    const path = join(data, 'content', name);
    const found = readFileSync(path).indexOf(mark);
    if (found === -1) continue;
    const file = openSync(path, 'r+');
    const byte = Buffer.alloc(1);
    readSync(file, byte, 0, 1, found);
    byte[0] = (byte[0] as number) ^ 1;
    writeSync(file, byte, 0, 1, found);
    closeSync(file);
    return;
  }
  assert.fail('the content is in no segment');
}

async function count(status: number): Promise<number> {
  const text = (await server.fromAdmin('/metrics')).body.toString();
  return Number(new RegExp(`requests_total\\{operation="GetBlob",status="${status}"\\} (\\d+)`).exec(text)?.[1] ?? 0);
}

const records = (): { ObjectKey?: string; StatusCode: number; StatusText: string }[] =>
  readdirSync(join(data, 'audit'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.jsonl') || name.endsWith('.log') || name.endsWith('.json'))
    .flatMap((name) => readFileSync(join(data, 'audit', name), 'utf8').split('\n'))
    .filter((line) => line.includes('"GetBlob"'))
    .map((line) => JSON.parse(line));

test('in the first block of what is asked for it is an error in the protocol’s form', async () => {
  const content = randomBytes(length);
  assert.equal((await server.put('/box/first', content)).status, 201);
  damage(content, 1000);
  for (const headers of [{}, { 'x-ms-range': 'bytes=0-4999999' }, { 'x-ms-structured-body': structuredBody }]) {
    const { status, headers: told, body } = await server.call({ path: '/box/first', headers });
    assert.deepEqual(
      [status, told['x-ms-error-code'], told['content-type']],
      [500, 'InternalError', 'application/xml'],
    );
    assert.match(body.toString(), /<Code>InternalError<\/Code>/);
  }
  // What lies elsewhere is whole.
  const range = { 'x-ms-range': 'bytes=4000000-4999999' };
  const { status, body } = await server.call({ path: '/box/first', headers: range });
  assert.equal(status, 206);
  assert.ok(body.equals(content.subarray(4_000_000)));
});

test('behind it the answer is cut, and log, audit and metrics call it a failure', async () => {
  const content = randomBytes(length);
  assert.equal((await server.put('/box/later', content)).status, 201);
  damage(content, 4_500_000);
  const before = { good: await count(200), failed: await count(500) };
  await assert.rejects(server.call({ path: '/box/later' }));
  const failed = (line: string): boolean => line.includes('"operation":"GetBlob"') && line.includes('"status":200');
  await eventually(() => server.logLines().some(failed), 'the request is logged');
  for (const line of server.logLines().filter(failed)) {
    const { errorCode, bytesOut } = JSON.parse(line) as { errorCode?: string; bytesOut: number };
    assert.equal(errorCode, 'InternalError');
    assert.ok(bytesOut > 0 && bytesOut < length, `${bytesOut}`);
  }
  assert.deepEqual({ good: await count(200), failed: await count(500) }, { ...before, failed: before.failed + 1 });
  const ofBlob = () => records().filter(({ ObjectKey }) => ObjectKey?.endsWith('/box/later'));
  await eventually(() => ofBlob().length > 0, 'the request is audited');
  assert.deepEqual(
    ofBlob().map(({ StatusCode, StatusText }) => [StatusCode, StatusText]),
    [[200, 'InternalError']],
  );
});
