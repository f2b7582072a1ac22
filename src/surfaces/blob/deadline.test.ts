// The `timeout` parameter: a body that comes too late changes nothing, and what is no number is refused.
import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { describe, test } from 'node:test';
import { RequestBody } from '../http/body.ts';
import { openTestSurface, serviceCall, testAccount } from './call.testing.ts';
import { deadlineOf } from './deadline.ts';
import { TestClient } from './dispatch.testing.ts';
import { BlobError } from './errors.ts';
import { parseQuery } from './request.ts';

const timedOut = (error: unknown): boolean => error instanceof BlobError && error.errorCode === 'OperationTimedOut';

function slowBody(): { readonly stream: PassThrough; readonly body: RequestBody } {
  const stream = new PassThrough();
  return { stream, body: new RequestBody(stream as unknown as IncomingMessage) };
}

describe('the timeout of a request', () => {
  test('ends a body that does not come, and leaves the rest of it to be drained', async () => {
    const { stream, body } = slowBody();
    const late = new BlobError('OperationTimedOut');
    body.failAfter(20, late);
    stream.write('first');
    const chunks: string[] = [];
    await assert.rejects(async () => {
      for await (const chunk of body) chunks.push(chunk.toString());
    }, late);
    assert.deepEqual(chunks, ['first']);
    stream.end('rest');
    assert.equal(await body.drain(100), true);
  });

  test('is nothing to a body that came in time', async () => {
    const { stream, body } = slowBody();
    body.failAfter(20, new BlobError('OperationTimedOut'));
    stream.end('all');
    assert.equal((await body.whole(100))?.toString(), 'all');
    await new Promise((resolve) => setTimeout(resolve, 40));
    assert.equal(await body.drain(100), true);
  });

  test('leaves nothing of an upload that is too slow', async () => {
    await using surface = await openTestSurface();
    const client = new TestClient(surface);
    await client.container('box');
    const { stream, body } = slowBody();
    stream.write('some of it');
    const { dispatcher } = client;
    const whole = dispatcher.dispatch.bind(dispatcher);
    dispatcher.dispatch = (incoming, version) => whole({ ...incoming, body }, version);
    const url = `/${testAccount}/box/a`;
    const sent = await client.put(`${url}?timeout=1`, 'some of it, and more');
    assert.deepEqual([sent.status, sent.code], [500, 'OperationTimedOut']);
    dispatcher.dispatch = whole;
    assert.equal((await client.send({ url })).status, 404);
  });

  test('is over after a wait that was too long', async () => {
    await using surface = await openTestSurface();
    const { body } = serviceCall(surface);
    const check = deadlineOf(parseQuery('timeout=1'), body);
    check?.();
    await new Promise((resolve) => setTimeout(resolve, 1020));
    assert.throws(() => check?.(), timedOut);
  });

  test('is a number of seconds, and nought is none', async () => {
    await using surface = await openTestSurface();
    const client = new TestClient(surface);
    for (const text of ['-1', 'soon', '1.5', '1e3', '9999999999', '1&timeout=2']) {
      const { status, code } = await client.send({ url: `/${testAccount}/?comp=list&timeout=${text}` });
      assert.deepEqual([status, code], [400, 'InvalidQueryParameterValue'], text);
    }
    for (const text of ['', '0', '30', '999999999']) {
      assert.equal((await client.send({ url: `/${testAccount}/?comp=list&timeout=${text}` })).status, 200, text);
    }
    assert.equal(deadlineOf(parseQuery('timeout=0'), serviceCall(surface).body), undefined);
  });
});
