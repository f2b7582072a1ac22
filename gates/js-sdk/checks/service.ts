// The service: its properties as a round trip, and CORS as browsers ask for it. One check at a time: the state is shared.

import assert from 'node:assert/strict';
import { type Checks, fields, put, refused, type Sdk, sleep } from '../kit.ts';
import { type RawAnswer, raw } from '../raw.ts';

// Learn, Set Blob Service Properties: a change takes up to 30 seconds to be in force.
const inForceMsMax = 30_000;

const rule = {
  allowedOrigins: 'https://one.example,https://two.example',
  allowedMethods: 'GET,PUT',
  allowedHeaders: 'content-type,x-ms-meta-data*',
  exposedHeaders: 'x-ms-meta-*',
  maxAgeInSeconds: 200,
};

export const service: Checks = {
  'service properties come back as they were set': async (kit) => {
    const wanted = {
      blobAnalyticsLogging: {
        version: '1.0',
        deleteProperty: true,
        read: true,
        write: false,
        retentionPolicy: { enabled: true, days: 5 },
      },
      hourMetrics: { version: '1.0', enabled: true, includeAPIs: true, retentionPolicy: { enabled: true, days: 3 } },
      minuteMetrics: { version: '1.0', enabled: true, includeAPIs: false, retentionPolicy: { enabled: false } },
      cors: [rule],
      defaultServiceVersion: '2020-10-02',
      deleteRetentionPolicy: { enabled: true, days: 4 },
      staticWebsite: { enabled: true, indexDocument: 'index.html', errorDocument404Path: 'error/404.html' },
    };
    const answer = await kit.service.setProperties(wanted);
    assert.equal(answer._response.status, 202);
    const got = await kit.service.getProperties();
    fields(got, {
      blobAnalyticsLogging: wanted.blobAnalyticsLogging,
      hourMetrics: wanted.hourMetrics,
      cors: wanted.cors,
      defaultServiceVersion: wanted.defaultServiceVersion,
    });
    fields(got.minuteMetrics, { enabled: true, includeAPIs: false });
    fields(got.deleteRetentionPolicy, { enabled: true, days: 4 });
    fields(got.staticWebsite, { enabled: true, indexDocument: 'index.html', errorDocument404Path: 'error/404.html' });
  },

  'service properties that are left out stay as they are': async (kit) => {
    await kit.service.setProperties({ cors: [rule], defaultServiceVersion: '2020-10-02' });
    await kit.service.setProperties({ deleteRetentionPolicy: { enabled: false } });
    const got = await kit.service.getProperties();
    assert.equal(got.defaultServiceVersion, '2020-10-02');
    assert.equal(got.cors.length, 1);
    assert.equal(got.deleteRetentionPolicy.enabled, false);
    await kit.service.setProperties({ cors: [] });
    assert.deepEqual((await kit.service.getProperties()).cors, []);
  },

  'the default version answers requests that name none': async (kit) => {
    await kit.service.setProperties({ defaultServiceVersion: '2020-10-02' });
    const container = await kit.container({ access: 'blob' });
    await put(container, 'a', 'x');
    const get = (): ReturnType<typeof raw> =>
      raw(kit.access, {
        method: 'GET',
        path: `/${container.containerName}/a`,
        headers: { 'x-ms-version': '', 'x-ms-date': '' },
        sign: 'none',
      });
    const answer = await inForce(get, ({ headers }) => headers['x-ms-version'] === '2020-10-02');
    assert.deepEqual([answer.status, answer.headers['x-ms-version']], [200, '2020-10-02']);
  },

  'bad service properties are refused': async (kit) => {
    const query = { restype: 'service', comp: 'properties' };
    const set = (body: string): ReturnType<typeof raw> => raw(kit.access, { method: 'PUT', path: '/', query, body });
    const broken = await set('<StorageServiceProperties><Cors>');
    assert.deepEqual([broken.status, broken.code], [400, 'InvalidXmlDocument']);
    const days = '<DeleteRetentionPolicy><Enabled>true</Enabled><Days>0</Days></DeleteRetentionPolicy>';
    const zero = await set(`<StorageServiceProperties>${days}</StorageServiceProperties>`);
    assert.equal(zero.status, 400, zero.text);
    const rules = Array.from({ length: 6 }, () => rule);
    await refused(kit.service.setProperties({ cors: rules }), 400);
  },

  'a preflight that a rule allows': async (kit) => {
    const answer = await withRule(kit, rule, {
      origin: 'https://two.example',
      'access-control-request-method': 'PUT',
      'access-control-request-headers': 'x-ms-meta-data-one, Content-Type',
    });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.headers['access-control-allow-origin'], 'https://two.example');
    assert.equal(answer.headers['access-control-allow-methods'], 'PUT');
    assert.equal(answer.headers['access-control-allow-headers'], 'x-ms-meta-data-one, Content-Type');
    assert.equal(answer.headers['access-control-max-age'], '200');
    assert.equal(answer.headers['access-control-allow-credentials'], 'true');
    assert.equal(answer.text, '');
  },

  'a preflight that no rule allows is CorsPreflightFailure': async (kit) => {
    await withRule(kit, rule, { origin: 'https://one.example', 'access-control-request-method': 'PUT' });
    for (const asked of [
      { origin: 'https://three.example', 'access-control-request-method': 'PUT' },
      { origin: 'https://ONE.example', 'access-control-request-method': 'PUT' },
      { origin: 'https://one.example', 'access-control-request-method': 'DELETE' },
      {
        origin: 'https://one.example',
        'access-control-request-method': 'PUT',
        'access-control-request-headers': 'x-ms-other',
      },
    ]) {
      const answer = await preflight(kit, asked);
      assert.deepEqual([answer.status, answer.code], [403, 'CorsPreflightFailure'], JSON.stringify(asked));
      assert.equal(answer.headers['access-control-allow-origin'], undefined);
    }
  },

  'a preflight without an origin is refused': async (kit) => {
    const answer = await preflight(kit, { 'access-control-request-method': 'PUT' });
    assert.equal(answer.status, 400);
    assert.match(answer.code ?? '', /^(MissingRequiredHeader|InvalidHeaderValue)$/);
  },

  'a request of an allowed origin carries the CORS headers, of another it does not': async (kit) => {
    await withRule(kit, rule, { origin: 'https://one.example', 'access-control-request-method': 'PUT' });
    const container = await kit.container();
    await put(container, 'a', 'x', { metadata: { one: '1' } });
    const path = `/${container.containerName}/a`;
    const get = (origin: string): ReturnType<typeof raw> =>
      raw(kit.access, { method: 'GET', path, headers: { origin } });
    const allowed = await get('https://one.example');
    assert.equal(allowed.headers['access-control-allow-origin'], 'https://one.example');
    assert.equal(allowed.headers['access-control-allow-credentials'], 'true');
    assert.match(allowed.headers['access-control-expose-headers'] ?? '', /x-ms-meta-one/i);
    assert.match(allowed.headers.vary ?? '', /Origin/i);
    const other = await get('https://three.example');
    assert.deepEqual([other.status, other.headers['access-control-allow-origin']], [200, undefined]);
    assert.match(other.headers.vary ?? '', /Origin/i);
  },

  'a rule for every origin answers *': async (kit) => {
    const everybody = { ...rule, allowedOrigins: '*', allowedHeaders: '*' };
    const answer = await withRule(kit, everybody, {
      origin: 'https://anyone.example',
      'access-control-request-method': 'GET',
      'access-control-request-headers': 'x-anything',
    });
    assert.deepEqual([answer.status, answer.headers['access-control-allow-origin']], [200, '*']);
    assert.equal(answer.headers['access-control-allow-credentials'], undefined);
    await kit.service.setProperties({ cors: [] });
  },
};

/** Sets the only rule, and waits until it allows what it should. */
async function withRule(kit: Sdk, only: object, allowed: Record<string, string>): Promise<RawAnswer> {
  await kit.service.setProperties({ cors: [only] });
  return inForce(
    () => preflight(kit, allowed),
    ({ status }) => status === 200,
  );
}

/** The first answer that is as it should be, or the last one. */
async function inForce(ask: () => Promise<RawAnswer>, good: (answer: RawAnswer) => boolean): Promise<RawAnswer> {
  const end = Date.now() + inForceMsMax;
  for (;;) {
    const answer = await ask();
    if (good(answer) || Date.now() > end) return answer;
    await sleep(250);
  }
}

function preflight(kit: Sdk, headers: Record<string, string>): ReturnType<typeof raw> {
  const none = { 'x-ms-date': '', 'x-ms-version': '' };
  return raw(kit.access, {
    method: 'OPTIONS',
    path: '/container/blob',
    headers: { ...none, ...headers },
    sign: 'none',
  });
}
