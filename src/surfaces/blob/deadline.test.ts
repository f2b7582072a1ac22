// The `timeout` parameter: a body that comes too late changes nothing, and what is no number is refused.
import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { describe, test } from 'node:test';
import { RequestBody } from '../http/body.ts';
import { openTestSurface, serviceCall, testAccount } from './call.testing.ts';
import { Deadline, Deadlines, deadlineOf } from './deadline.ts';
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
    check?.check();
    await new Promise((resolve) => setTimeout(resolve, 1020));
    assert.throws(() => check?.check(), timedOut);
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

describe('work that does not end', () => {
  const never = (): Promise<string> => new Promise(() => undefined);
  const whole = (): RequestBody => {
    const { stream, body } = slowBody();
    stream.end();
    return body;
  };

  test('is answered when the timeout of its request is over, and told so', async () => {
    const deadlines = new Deadlines({ silentMs: 0 }, 10, () => assert.fail('it is not the committer'));
    const body = whole();
    for (const isChange of [false, true]) {
      const deadline = new Deadline(30, body);
      await assert.rejects(deadlines.within(deadline, { body, isChange }, never), timedOut);
      assert.ok(deadline.signal.aborted);
    }
    const deadline = new Deadline(30_000, body);
    assert.equal(await deadlines.within(deadline, { body, isChange: true }, async () => 'done'), 'done');
    const broken = (): never => {
      throw new Error('at once');
    };
    assert.throws(() => deadlines.within(deadline, { body, isChange: true }, broken), /at once/);
  });

  test('without one is answered when the committer is silent, and not before', async () => {
    const committer = { silentMs: 0 };
    let told = 0;
    const deadlines = new Deadlines(committer, 40, () => told++);
    const change = deadlines.within(undefined, { body: whole(), isChange: true }, never);
    const early = await Promise.race([change, new Promise((resolve) => setTimeout(resolve, 120, 'waits'))]);
    assert.equal(early, 'waits');
    committer.silentMs = 50;
    await assert.rejects(change, timedOut);
    assert.equal(told, 1);
  });

  test('goes on while its body is still coming, and where it changes nothing', async () => {
    const deadlines = new Deadlines({ silentMs: 1000 }, 20, () => undefined);
    const { stream, body } = slowBody();
    const upload = deadlines.within(undefined, { body, isChange: true }, () => body.whole(100));
    await new Promise((resolve) => setTimeout(resolve, 100));
    stream.end('all');
    assert.equal((await upload)?.toString(), 'all');
    const reading = deadlines.within(undefined, { body: whole(), isChange: false }, never);
    const other = new Promise((resolve) => setTimeout(resolve, 100, 'waits'));
    assert.equal(await Promise.race([reading, other]), 'waits');
  });

  test('is not piled up: with too much of it changes are refused, until some ends', async () => {
    const deadlines = new Deadlines({ silentMs: 0 }, 1000, () => undefined);
    const body = whole();
    const ends: (() => void)[] = [];
    const hung = (): Promise<void> => new Promise((resolve) => ends.push(resolve));
    const failed = Array.from({ length: 1024 }, () => {
      const deadline = new Deadline(1, body);
      return assert.rejects(deadlines.within(deadline, { body, isChange: true }, hung), timedOut);
    });
    await Promise.all(failed);
    const ask = () => deadlines.within(undefined, { body, isChange: true }, async () => 'done');
    assert.throws(ask, (error) => error instanceof BlobError && error.errorCode === 'ServerBusy');
    assert.equal(await deadlines.within(undefined, { body, isChange: false }, async () => 'read'), 'read');
    ends[0]?.();
    await new Promise((resolve) => setTimeout(resolve, 1));
    assert.equal(await ask(), 'done');
  });
});
