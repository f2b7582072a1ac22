// Shared Key and Shared Key Lite as no SDK sends them wrong, versions, request ids, and the shape of errors.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { type Checks, inMinutes, put, refused } from '../kit.ts';
import { raw } from '../raw.ts';

const otherKey = Buffer.alloc(64, 1).toString('base64');

export const auth: Checks = {
  'a wrong key is AuthenticationFailed with a whole error answer': async (kit) => {
    const container = await kit.container();
    const wrong = new kit.sdk.StorageSharedKeyCredential(kit.access.account, otherKey);
    const client = kit.connect({ credential: wrong }).getContainerClient(container.containerName);
    const error = await refused(client.getBlockBlobClient('a').upload('x', 1), 403, 'AuthenticationFailed');
    assert.match(error.response.headers.get('content-type'), /^application\/xml/);
    assert.match(
      error.response.bodyAsText,
      /^\uFEFF?<\?xml version="1.0" encoding="utf-8"\?><Error><Code>AuthenticationFailed<\/Code><Message>[^<]*RequestId:[0-9a-f-]{36}\nTime:\d{4}-\d\d-\d\dT[\d:.]+Z<\/Message>/,
    );
    await refused(client.getProperties(), 403, 'AuthenticationFailed');
  },

  'Shared Key Lite is taken, with a wrong key refused': async (kit) => {
    const container = await kit.container();
    const path = `/${container.containerName}/dir/a%20b`;
    const headers = { 'x-ms-blob-type': 'BlockBlob', 'content-type': 'a/b', 'x-ms-meta-k': 'v' };
    const made = await raw(kit.access, { method: 'PUT', path, headers, body: 'hello', sign: 'SharedKeyLite' });
    assert.equal(made.status, 201, made.text);
    const got = await raw(kit.access, { method: 'GET', path, sign: 'SharedKeyLite' });
    assert.deepEqual([got.status, got.text], [200, 'hello']);
    const query = { restype: 'container', comp: 'list' };
    const listed = await raw(kit.access, {
      method: 'GET',
      path: `/${container.containerName}`,
      query,
      sign: 'SharedKeyLite',
    });
    assert.equal(listed.status, 200, listed.text);
    const wrong = await raw(kit.access, { method: 'GET', path, sign: 'SharedKeyLite', key: otherKey });
    assert.deepEqual([wrong.status, wrong.code], [403, 'AuthenticationFailed']);
  },

  'an account named by the host is served like one named by the path': async (kit) => {
    const container = await kit.container();
    await put(container, 'dir/a b', 'hello');
    const host = `${kit.access.account}.blob.storage.example`;
    const path = `/${container.containerName}/dir/a%20b`;
    const got = await raw(kit.access, { method: 'GET', path, host });
    assert.deepEqual([got.status, got.text], [200, 'hello']);
    const query = { comp: 'list' };
    const listed = await raw(kit.access, { method: 'GET', path: '/', host, query });
    assert.equal(listed.status, 200, listed.text);
    const wrong = await raw(kit.access, { method: 'GET', path, host, key: otherKey });
    assert.deepEqual([wrong.status, wrong.code], [403, 'AuthenticationFailed']);
  },

  'a date header instead of x-ms-date is taken': async (kit) => {
    const container = await kit.container();
    const headers = { 'x-ms-date': '', date: new Date().toUTCString() };
    const query = { restype: 'container' };
    const answer = await raw(kit.access, { method: 'GET', path: `/${container.containerName}`, query, headers });
    assert.equal(answer.status, 200, answer.text);
  },

  'a date 16 minutes off, none, or no date at all is refused': async (kit) => {
    const container = await kit.container();
    const query = { restype: 'container' };
    const get = (headers: Record<string, string>): ReturnType<typeof raw> =>
      raw(kit.access, { method: 'GET', path: `/${container.containerName}`, query, headers });
    for (const minutes of [-16, 16]) {
      const answer = await get({ 'x-ms-date': inMinutes(minutes).toUTCString() });
      assert.deepEqual([answer.status, answer.code], [403, 'AuthenticationFailed'], `${minutes} minutes`);
    }
    assert.equal((await get({ 'x-ms-date': inMinutes(-10).toUTCString() })).status, 200);
    assert.equal((await get({ 'x-ms-date': '' })).status, 403);
    assert([400, 403].includes((await get({ 'x-ms-date': 'yesterday' })).status));
  },

  'a header or query that was not signed is refused': async (kit) => {
    const container = await kit.container();
    const date = new Date().toUTCString();
    const signed = { method: 'GET', path: `/${container.containerName}`, query: { restype: 'container' } };
    const good = await raw(kit.access, { ...signed, headers: { 'x-ms-date': date } });
    assert.equal(good.status, 200);
    for (const authorization of [
      '',
      'SharedKey',
      `SharedKey ${kit.access.account}`,
      `SharedKey ${kit.access.account}:`,
      `SharedKey ${kit.access.account}:not base64`,
      `SharedKey ${kit.access.account}:${Buffer.alloc(32).toString('base64')}`,
      `Basic ${Buffer.from('a:b').toString('base64')}`,
    ]) {
      const answer = await raw(kit.access, { ...signed, headers: { 'x-ms-date': date, authorization }, sign: 'none' });
      assert(
        [400, 401, 403, 404].includes(answer.status),
        `"${authorization.slice(0, 12)}..." answered ${answer.status}`,
      );
      assert(answer.code && answer.headers['x-ms-request-id'], 'an error without code or request id');
    }
  },

  'an account that signs for another is refused': async (kit) => {
    const container = await kit.container();
    const query = { restype: 'container' };
    const answer = await raw(kit.access, {
      method: 'GET',
      path: `/${container.containerName}`,
      query,
      account: 'otheraccount',
    });
    assert([401, 403].includes(answer.status), `answered ${answer.status}`);
  },

  'no credential is 401 with a code': async (kit) => {
    const container = await kit.container();
    const path = `/${container.containerName}/b`;
    const headers = { 'x-ms-blob-type': 'BlockBlob' };
    const answer = await raw(kit.access, { method: 'PUT', path, headers, body: 'x', sign: 'none' });
    assert.deepEqual([answer.status, answer.code], [401, 'NoAuthenticationInformation']);
  },

  'x-ms-client-request-id comes back, on errors too': async (kit) => {
    const container = await kit.container();
    const id = randomUUID();
    const headers = { 'x-ms-client-request-id': id };
    const path = `/${container.containerName}`;
    const good = await raw(kit.access, { method: 'GET', path, query: { restype: 'container' }, headers });
    assert.equal(good.headers['x-ms-client-request-id'], id);
    const bad = await raw(kit.access, { method: 'GET', path: `${path}/none`, headers });
    assert.deepEqual([bad.status, bad.headers['x-ms-client-request-id']], [404, id]);
    const none = await raw(kit.access, { method: 'GET', path: `${path}/none` });
    assert.equal(none.headers['x-ms-client-request-id'], undefined);
  },

  'every request has an id of its own': async (kit) => {
    const container = await kit.container();
    const seen = new Set();
    for (let count = 0; count < 5; count += 1) {
      const answer = await container.getProperties();
      assert.match(answer.requestId, /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/);
      seen.add(answer.requestId);
    }
    assert.equal(seen.size, 5);
  },

  'a newer, unknown version is served as the newest known': async (kit) => {
    const container = await kit.container();
    await put(container, 'a', 'hello');
    const headers = { 'x-ms-version': '2099-01-01' };
    const answer = await raw(kit.access, { method: 'GET', path: `/${container.containerName}/a`, headers });
    assert.deepEqual([answer.status, answer.text], [200, 'hello']);
    const version = String(answer.headers['x-ms-version']);
    assert(version >= '2024-11-04' && version < '2099-01-01', `x-ms-version ${version}`);
    const query = { restype: 'container', comp: 'list' };
    const listed = await raw(kit.access, { method: 'GET', path: `/${container.containerName}`, query, headers });
    assert.equal(listed.status, 200, listed.text);
  },

  'every version is answered with itself': async (kit) => {
    const container = await kit.container();
    await put(container, 'a', 'hello');
    for (const version of ['2019-12-12', '2020-10-02', '2021-12-02', '2023-11-03', '2024-11-04', '2025-11-05']) {
      const headers = { 'x-ms-version': version };
      const answer = await raw(kit.access, { method: 'GET', path: `/${container.containerName}/a`, headers });
      assert.deepEqual([answer.status, answer.headers['x-ms-version']], [200, version]);
    }
  },

  'a version that is no date is InvalidHeaderValue': async (kit) => {
    const container = await kit.container();
    const headers = { 'x-ms-version': 'banana' };
    const answer = await raw(kit.access, { method: 'GET', path: `/${container.containerName}/a`, headers });
    assert.deepEqual([answer.status, answer.code], [400, 'InvalidHeaderValue']);
  },

  'put blob without a type is MissingRequiredHeader, with an unknown one InvalidHeaderValue': async (kit) => {
    const container = await kit.container();
    const path = `/${container.containerName}/a`;
    const none = await raw(kit.access, { method: 'PUT', path, body: 'x' });
    assert.deepEqual([none.status, none.code], [400, 'MissingRequiredHeader']);
    const odd = await raw(kit.access, { method: 'PUT', path, headers: { 'x-ms-blob-type': 'Round' }, body: 'x' });
    assert.deepEqual([odd.status, odd.code], [400, 'InvalidHeaderValue']);
  },

  'unknown comp, restype and verbs are refused, never a crash': async (kit) => {
    const container = await kit.container();
    const path = `/${container.containerName}`;
    const comp = await raw(kit.access, { method: 'GET', path: `${path}/a`, query: { comp: 'nonsense' } });
    assert.deepEqual([comp.status, comp.code], [400, 'InvalidQueryParameterValue']);
    const restype = await raw(kit.access, { method: 'GET', path, query: { restype: 'nonsense' } });
    assert.equal(restype.status, 400);
    const verb = await raw(kit.access, { method: 'PATCH', path: `${path}/a` });
    assert.deepEqual([verb.status, verb.code], [405, 'UnsupportedHttpVerb']);
  },
};
