// Containers: create, delete, properties, metadata, ACL, lease.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Answer } from '../http/answer.ts';
import { containerCall, openTestSurface, refusal, type TestRequest, type TestSurface } from './call.testing.ts';
import { getContainerAcl, setContainerAcl } from './container-acl.ts';
import { createContainer } from './create-container.ts';
import { deleteContainer } from './delete-container.ts';
import { BlobError } from './errors.ts';
import { getContainer } from './get-container.ts';
import { leaseContainer } from './lease-container.ts';
import { setContainerMetadata } from './set-container-metadata.ts';

const minuteMs = 60_000;

function create(surface: TestSurface, name: string, request: TestRequest = {}): Promise<Answer> {
  return createContainer(containerCall(surface, name, { method: 'PUT', query: 'restype=container', ...request }));
}

function lease(surface: TestSurface, headers: Record<string, string>): Promise<Answer> {
  return leaseContainer(containerCall(surface, 'box', { method: 'PUT', headers }));
}

function httpDate(ms: number): string {
  return new Date(ms).toUTCString();
}

describe('create container', () => {
  test('keeps metadata with the case of its names, and public access', async () => {
    await using surface = await openTestSurface();
    const headers = { 'x-ms-meta-Owner': 'me', 'x-ms-blob-public-access': 'blob' };
    const made = await create(surface, 'box', { headers });
    assert.equal(made.status, 201);
    assert.match(`${made.headers.ETag}`, /^"0x[0-9A-F]+"$/);
    const found = await getContainer(containerCall(surface, 'box'));
    assert.equal(found.headers['x-ms-meta-Owner'], 'me');
    assert.equal(found.headers['x-ms-blob-public-access'], 'blob');
    assert.equal(found.headers['x-ms-lease-state'], 'available');
    assert.equal(found.headers.ETag, made.headers.ETag);
  });

  test('refuses names that no container can have, and takes the special ones', async () => {
    await using surface = await openTestSurface();
    for (const name of ['ab', 'a'.repeat(64)]) assert.equal(await refusal(create(surface, name)), 'OutOfRangeInput');
    for (const name of ['Upper', 'a--b', '-ab', 'ab-', 'a_b', '$other', 'a.b']) {
      assert.equal(await refusal(create(surface, name)), 'InvalidResourceName', name);
    }
    for (const name of ['$root', '$web', '$logs', 'a-b', '123', 'a'.repeat(63)]) {
      assert.equal(await refusal(create(surface, name)), 'none', name);
    }
  });

  test('refuses a second one of the same name, and an access level that is none', async () => {
    await using surface = await openTestSurface();
    await create(surface, 'box');
    assert.equal(await refusal(create(surface, 'box')), 'ContainerAlreadyExists');
    const headers = { 'x-ms-blob-public-access': 'everyone' };
    assert.equal(await refusal(create(surface, 'other', { headers })), 'InvalidHeaderValue');
  });
});

describe('get container', () => {
  test('with comp=metadata gives metadata and nothing of the properties', async () => {
    await using surface = await openTestSurface();
    await create(surface, 'box', { headers: { 'x-ms-meta-a': '1' } });
    const { headers } = await getContainer(containerCall(surface, 'box', { query: 'restype=container&comp=metadata' }));
    assert.equal(headers['x-ms-meta-a'], '1');
    assert.equal(headers['x-ms-lease-state'], undefined);
  });

  test('of one that is not there says so', async () => {
    await using surface = await openTestSurface();
    assert.equal(await refusal(getContainer(containerCall(surface, 'box'))), 'ContainerNotFound');
    assert.equal(await refusal(getContainer(containerCall(surface, '$logs'))), 'ContainerNotFound');
    assert.equal(await refusal(getContainer(containerCall(surface, 'No'))), 'OutOfRangeInput');
  });
});

test('a lease id that is given to a read of a container must fit', async () => {
  await using surface = await openTestSurface();
  await create(surface, 'box');
  const read = (id: string): Promise<string> =>
    refusal(getContainer(containerCall(surface, 'box', { headers: { 'x-ms-lease-id': id } })));
  const other = '33333333-3333-4333-8333-333333333333';
  assert.equal(await read(other), 'LeaseNotPresentWithContainerOperation');
  const { headers } = await lease(surface, { 'x-ms-lease-action': 'acquire', 'x-ms-lease-duration': '15' });
  assert.equal(await read(other), 'LeaseIdMismatchWithContainerOperation');
  assert.equal(await read(`${headers['x-ms-lease-id']}`), 'none');
});

describe('set container metadata', () => {
  test('replaces all of it under a new ETag', async () => {
    await using surface = await openTestSurface();
    const made = await create(surface, 'box', { headers: { 'x-ms-meta-a': '1' } });
    const changed = await setContainerMetadata(containerCall(surface, 'box', { headers: { 'x-ms-meta-b': '2' } }));
    assert.equal(changed.status, 200);
    assert.notEqual(changed.headers.ETag, made.headers.ETag);
    const { headers } = await getContainer(containerCall(surface, 'box'));
    assert.deepEqual([headers['x-ms-meta-a'], headers['x-ms-meta-b']], [undefined, '2']);
  });

  test('knows If-Modified-Since and refuses every other condition', async () => {
    await using surface = await openTestSurface();
    await create(surface, 'box');
    const set = (headers: Record<string, string>): Promise<string> =>
      refusal(setContainerMetadata(containerCall(surface, 'box', { headers })));
    const nowMs = surface.clock.now();
    assert.equal(await set({ 'If-Modified-Since': httpDate(nowMs + minuteMs) }), 'ConditionNotMet');
    assert.equal(await set({ 'If-Modified-Since': httpDate(nowMs - minuteMs) }), 'none');
    assert.equal(await set({ 'If-Unmodified-Since': httpDate(nowMs) }), 'ConditionHeadersNotSupported');
    assert.equal(await set({ 'If-Match': '*' }), 'ConditionHeadersNotSupported');
    assert.equal(await set({ 'If-Modified-Since': 'yesterday' }), 'InvalidHeaderValue');
  });
});

describe('delete container', () => {
  test('frees its name', async () => {
    await using surface = await openTestSurface();
    await create(surface, 'box');
    const gone = await deleteContainer(containerCall(surface, 'box', { method: 'DELETE' }));
    assert.equal(gone.status, 202);
    assert.equal(await refusal(getContainer(containerCall(surface, 'box'))), 'ContainerNotFound');
    assert.equal(await refusal(create(surface, 'box')), 'none');
  });

  test('respects conditions by time', async () => {
    await using surface = await openTestSurface();
    await create(surface, 'box');
    const headers = { 'If-Unmodified-Since': httpDate(surface.clock.now() - minuteMs) };
    assert.equal(await refusal(deleteContainer(containerCall(surface, 'box', { headers }))), 'ConditionNotMet');
  });

  test('is blocked by a lease without its id, in words about a container', async () => {
    await using surface = await openTestSurface();
    await create(surface, 'box');
    const { headers } = await lease(surface, { 'x-ms-lease-action': 'acquire', 'x-ms-lease-duration': '15' });
    await assert.rejects(deleteContainer(containerCall(surface, 'box')), (error) => {
      assert.ok(error instanceof BlobError);
      assert.equal(error.errorCode, 'LeaseIdMissing');
      assert.match(error.message, /lease on the container/);
      return true;
    });
    const wrong = { 'x-ms-lease-id': '00000000-0000-0000-0000-000000000000' };
    assert.equal(
      await refusal(deleteContainer(containerCall(surface, 'box', { headers: wrong }))),
      'LeaseIdMismatchWithContainerOperation',
    );
    const right = { 'x-ms-lease-id': `${headers['x-ms-lease-id']}` };
    assert.equal(await refusal(deleteContainer(containerCall(surface, 'box', { headers: right }))), 'none');
  });
});

describe('lease container', () => {
  const first = '11111111-1111-4111-8111-111111111111';
  const second = '22222222-2222-4222-8222-222222222222';

  test('goes through its five actions with their statuses and headers', async () => {
    await using surface = await openTestSurface();
    await create(surface, 'box');
    const acquired = await lease(surface, {
      'x-ms-lease-action': 'acquire',
      'x-ms-lease-duration': '-1',
      'x-ms-proposed-lease-id': first.toUpperCase(),
    });
    assert.deepEqual([acquired.status, acquired.headers['x-ms-lease-id']], [201, first]);
    const changed = await lease(surface, {
      'x-ms-lease-action': 'change',
      'x-ms-lease-id': first,
      'x-ms-proposed-lease-id': second,
    });
    assert.deepEqual([changed.status, changed.headers['x-ms-lease-id']], [200, second]);
    const renewed = await lease(surface, { 'x-ms-lease-action': 'renew', 'x-ms-lease-id': second });
    assert.deepEqual([renewed.status, renewed.headers['x-ms-lease-id']], [200, second]);
    const broken = await lease(surface, { 'x-ms-lease-action': 'break', 'x-ms-lease-break-period': '30' });
    assert.deepEqual([broken.status, broken.headers['x-ms-lease-time']], [202, 30]);
    assert.equal(broken.headers['x-ms-lease-id'], undefined);
    const released = await lease(surface, { 'x-ms-lease-action': 'release', 'x-ms-lease-id': second });
    assert.deepEqual([released.status, released.headers['x-ms-lease-id']], [200, undefined]);
    assert.equal(released.headers.ETag, acquired.headers.ETag);
  });

  test('makes a random GUID where none is proposed', async () => {
    await using surface = await openTestSurface();
    await create(surface, 'box');
    const { headers } = await lease(surface, { 'x-ms-lease-action': 'Acquire', 'x-ms-lease-duration': '60' });
    assert.match(
      `${headers['x-ms-lease-id']}`,
      /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
    const shown = await getContainer(containerCall(surface, 'box'));
    assert.equal(shown.headers['x-ms-lease-duration'], 'fixed');
    surface.clock.advance(60_000);
    const later = await getContainer(containerCall(surface, 'box'));
    assert.equal(later.headers['x-ms-lease-state'], 'expired');
  });

  test('refuses what is malformed or missing', async () => {
    await using surface = await openTestSurface();
    await create(surface, 'box');
    const cases: [Record<string, string>, string][] = [
      [{}, 'MissingRequiredHeader'],
      [{ 'x-ms-lease-action': 'steal' }, 'InvalidHeaderValue'],
      [{ 'x-ms-lease-action': 'acquire' }, 'MissingRequiredHeader'],
      [{ 'x-ms-lease-action': 'acquire', 'x-ms-lease-duration': '14' }, 'InvalidHeaderValue'],
      [{ 'x-ms-lease-action': 'acquire', 'x-ms-lease-duration': '61' }, 'InvalidHeaderValue'],
      [{ 'x-ms-lease-action': 'acquire', 'x-ms-lease-duration': '15.5' }, 'InvalidHeaderValue'],
      [
        { 'x-ms-lease-action': 'acquire', 'x-ms-lease-duration': '15', 'x-ms-proposed-lease-id': 'x' },
        'InvalidHeaderValue',
      ],
      [{ 'x-ms-lease-action': 'renew' }, 'MissingRequiredHeader'],
      [{ 'x-ms-lease-action': 'change', 'x-ms-lease-id': first }, 'MissingRequiredHeader'],
      [{ 'x-ms-lease-action': 'break', 'x-ms-lease-break-period': '61' }, 'InvalidHeaderValue'],
      [{ 'x-ms-lease-action': 'break' }, 'LeaseNotPresentWithLeaseOperation'],
      [{ 'x-ms-lease-action': 'release', 'x-ms-lease-id': first }, 'LeaseNotPresentWithLeaseOperation'],
    ];
    for (const [headers, code] of cases) {
      assert.equal(await refusal(lease(surface, headers)), code, JSON.stringify(headers));
    }
  });
});

describe('container ACL', () => {
  const acl = (surface: TestSurface, body: string, headers: Record<string, string> = {}): Promise<Answer> =>
    setContainerAcl(containerCall(surface, 'box', { method: 'PUT', body, headers }));
  const identifiers = (inner: string): string => `<SignedIdentifiers>${inner}</SignedIdentifiers>`;
  const policy = (id: string, inner = ''): string =>
    `<SignedIdentifier><Id>${id}</Id><AccessPolicy>${inner}</AccessPolicy></SignedIdentifier>`;

  test('gives back what was set, times in UTC with seven digits', async () => {
    await using surface = await openTestSurface();
    await create(surface, 'box');
    const body = identifiers(
      policy('a&amp;b', '<Start>2026-01-02T05:04:05+02:00</Start><Expiry>2026-02-01T00:00:00.1234567Z</Expiry>') +
        policy('second', '<Start/><Expiry>2027-01-01</Expiry><Permission>rwd</Permission>') +
        policy('third'),
    );
    const set = await acl(surface, `\ufeff<?xml version="1.0" encoding="utf-8"?>${body}`, {
      'x-ms-blob-public-access': 'container',
    });
    assert.equal(set.status, 200);
    const found = await getContainerAcl(containerCall(surface, 'box'));
    assert.equal(found.headers['x-ms-blob-public-access'], 'container');
    assert.equal(found.headers.ETag, set.headers.ETag);
    assert.equal(
      found.body,
      '\ufeff<?xml version="1.0" encoding="utf-8"?><SignedIdentifiers><SignedIdentifier><Id>a&amp;b</Id><AccessPolicy>' +
        '<Start>2026-01-02T03:04:05.0000000Z</Start><Expiry>2026-02-01T00:00:00.1234567Z</Expiry></AccessPolicy>' +
        '</SignedIdentifier><SignedIdentifier><Id>second</Id><AccessPolicy><Expiry>2027-01-01T00:00:00.0000000Z</Expiry>' +
        '<Permission>rwd</Permission></AccessPolicy></SignedIdentifier><SignedIdentifier><Id>third</Id>' +
        '</SignedIdentifier></SignedIdentifiers>',
    );
  });

  test('without a body and a header takes everything away', async () => {
    await using surface = await openTestSurface();
    await create(surface, 'box', { headers: { 'x-ms-blob-public-access': 'blob' } });
    await acl(surface, identifiers(policy('one')));
    await acl(surface, '');
    const found = await getContainerAcl(containerCall(surface, 'box'));
    assert.equal(found.headers['x-ms-blob-public-access'], undefined);
    assert.equal(found.body, '\ufeff<?xml version="1.0" encoding="utf-8"?><SignedIdentifiers />');
  });

  test('refuses what breaks a rule, and leaves what was set', async () => {
    await using surface = await openTestSurface();
    await create(surface, 'box');
    await acl(surface, identifiers(policy('kept')));
    const six = Array.from({ length: 6 }, (_, i) => policy(`p${i}`)).join('');
    const cases: [string, string][] = [
      ['<SignedIdentifiers>', 'InvalidXmlDocument'],
      ['<Other/>', 'InvalidXmlDocument'],
      [identifiers(six), 'InvalidXmlDocument'],
      [identifiers(policy('')), 'InvalidXmlDocument'],
      [identifiers(policy('x'.repeat(65))), 'InvalidXmlDocument'],
      [identifiers(policy('same') + policy('same')), 'InvalidXmlDocument'],
      [identifiers(policy('x', '<Permission>q</Permission>')), 'InvalidXmlDocument'],
      [identifiers(policy('x', '<Start>soon</Start>')), 'InvalidXmlNodeValue'],
      [identifiers(policy('x', '<Expiry>2026-02-30</Expiry>')), 'InvalidXmlNodeValue'],
      [identifiers(policy('x', ' '.repeat(70_000))), 'RequestBodyTooLarge'],
    ];
    for (const [body, code] of cases) assert.equal(await refusal(acl(surface, body)), code, body.slice(0, 80));
    assert.match(`${(await getContainerAcl(containerCall(surface, 'box'))).body}`, /<Id>kept<\/Id>/);
    assert.equal(await refusal(acl(surface, identifiers(policy('x'.repeat(64))))), 'none');
    assert.equal(await refusal(acl(surface, '', { 'If-None-Match': '*' })), 'ConditionHeadersNotSupported');
  });
});
