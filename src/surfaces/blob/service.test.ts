// The service's own operations: properties, account information, CORS.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { getAccount } from '../../namespace/accounts.ts';
import type { Answer } from '../http/answer.ts';
import { getAccountInfo } from './account-info.ts';
import { openTestSurface, refusal, serviceCall, type TestSurface, testAccount } from './call.testing.ts';
import { corsHeaders, preflight } from './cors.ts';
import { getServiceProperties, setServiceProperties } from './service-properties.ts';

function set(surface: TestSurface, inner: string): Promise<Answer> {
  const body = `<?xml version="1.0" encoding="utf-8"?><StorageServiceProperties>${inner}</StorageServiceProperties>`;
  return setServiceProperties(serviceCall(surface, { method: 'PUT', body }));
}

async function get(surface: TestSurface): Promise<string> {
  return `${(await getServiceProperties(serviceCall(surface))).body}`;
}

const logging =
  '<Logging><Version>1.0</Version><Read>true</Read><Write>false</Write><Delete>true</Delete>' +
  '<RetentionPolicy><Enabled>true</Enabled><Days>5</Days></RetentionPolicy></Logging>';
const metrics =
  '<HourMetrics><Version>1.0</Version><Enabled>true</Enabled><IncludeAPIs>true</IncludeAPIs>' +
  '<RetentionPolicy><Enabled>true</Enabled><Days>7</Days></RetentionPolicy></HourMetrics>';
const rule = (
  origins = 'http://a.example',
  methods = 'GET,PUT',
  headers = '*',
  exposed = 'x-ms-meta-*',
  age = '60',
): string =>
  `<CorsRule><AllowedMethods>${methods}</AllowedMethods><AllowedOrigins>${origins}</AllowedOrigins>` +
  `<AllowedHeaders>${headers}</AllowedHeaders><ExposedHeaders>${exposed}</ExposedHeaders>` +
  `<MaxAgeInSeconds>${age}</MaxAgeInSeconds></CorsRule>`;
const cors = (...rules: string[]): string => `<Cors>${rules.join('')}</Cors>`;
const retention = '<DeleteRetentionPolicy><Enabled>true</Enabled><Days>3</Days></DeleteRetentionPolicy>';
const website =
  '<StaticWebsite><Enabled>true</Enabled><IndexDocument>index.html</IndexDocument>' +
  '<ErrorDocument404Path>404.html</ErrorDocument404Path></StaticWebsite>';

describe('service properties', () => {
  test('are off where nothing was set', async () => {
    await using surface = await openTestSurface();
    const off = '<RetentionPolicy><Enabled>false</Enabled></RetentionPolicy>';
    assert.equal(
      await get(surface),
      '\ufeff<?xml version="1.0" encoding="utf-8"?><StorageServiceProperties><Logging><Version>1.0</Version><Read>false</Read>' +
        `<Write>false</Write><Delete>false</Delete>${off}</Logging>` +
        `<HourMetrics><Version>1.0</Version><Enabled>false</Enabled>${off}</HourMetrics>` +
        `<MinuteMetrics><Version>1.0</Version><Enabled>false</Enabled>${off}</MinuteMetrics><Cors />` +
        '<DeleteRetentionPolicy><Enabled>false</Enabled></DeleteRetentionPolicy>' +
        '<StaticWebsite><Enabled>false</Enabled></StaticWebsite></StorageServiceProperties>',
    );
  });

  test('come back as they were set, and a set keeps what it does not name', async () => {
    await using surface = await openTestSurface();
    const version = '<DefaultServiceVersion>2021-12-02</DefaultServiceVersion>';
    const parts = [logging, metrics, cors(rule(), rule('*')), retention, website, version];
    for (const part of parts) assert.equal((await set(surface, part)).status, 202);
    const found = await get(surface);
    let at = 0;
    for (const part of parts) {
      const next = found.indexOf(part);
      assert.ok(next >= at, part);
      at = next;
    }
    await set(surface, '<Cors />');
    assert.equal(await get(surface), found.replace(cors(rule(), rule('*')), '<Cors />'));
  });

  test('that break a rule are refused', async () => {
    await using surface = await openTestSurface();
    const cases: [string, string][] = [
      ['<Unknown/>', 'InvalidXmlDocument'],
      [logging.replace('<Days>5</Days>', ''), 'InvalidXmlDocument'],
      [logging.replace('5</Days>', '366</Days>'), 'InvalidXmlNodeValue'],
      [logging.replace('true', 'maybe'), 'InvalidXmlNodeValue'],
      [metrics.replace('<IncludeAPIs>true</IncludeAPIs>', ''), 'InvalidXmlDocument'],
      [cors(...Array.from({ length: 6 }, () => rule())), 'InvalidXmlDocument'],
      [cors(rule('')), 'InvalidXmlNodeValue'],
      [cors(rule('*', 'TRACE')), 'InvalidXmlNodeValue'],
      [cors(rule('*', 'GET', 'a*,b*,c*')), 'InvalidXmlNodeValue'],
      [cors(rule('*', 'GET', '*', '*', '-1')), 'InvalidXmlNodeValue'],
      [cors('<CorsRule/>'), 'InvalidXmlDocument'],
      ['<DefaultServiceVersion>new</DefaultServiceVersion>', 'InvalidXmlNodeValue'],
      [retention.replace('3', '0'), 'InvalidXmlNodeValue'],
      [website.replace('index.html', 'a/index.html'), 'InvalidXmlNodeValue'],
    ];
    const before = await get(surface);
    for (const [inner, code] of cases) assert.equal(await refusal(set(surface, inner)), code, inner.slice(0, 100));
    const broken = setServiceProperties(serviceCall(surface, { body: '<StorageServiceProperties>' }));
    assert.equal(await refusal(broken), 'InvalidXmlDocument');
    assert.equal(await get(surface), before);
  });
});

test('account information names a general account without a hierarchy', async () => {
  await using surface = await openTestSurface();
  const { status, headers } = await getAccountInfo(serviceCall(surface));
  assert.deepEqual(
    [status, headers['x-ms-sku-name'], headers['x-ms-account-kind'], headers['x-ms-is-hns-enabled']],
    [200, 'Standard_LRS', 'StorageV2', 'false'],
  );
});

describe('CORS', () => {
  async function rules(surface: TestSurface, ...given: string[]): Promise<unknown> {
    await set(surface, cors(...given));
    return (await getAccount(surface.store, testAccount))?.blobService;
  }
  const ask = (origin: string, method: string, headers?: string): Record<string, string> => ({
    origin,
    'access-control-request-method': method,
    ...(headers !== undefined && { 'access-control-request-headers': headers }),
  });
  const attempt = async (service: unknown, headers: Record<string, string>): Promise<string> =>
    await refusal((async () => preflight(service, headers))());

  test('a preflight is answered by the first rule that fits', async () => {
    await using surface = await openTestSurface();
    const service = await rules(
      surface,
      rule('http://a.example', 'GET', 'x-ms-meta-*,accept'),
      rule('http://a.example,http://b.example', 'PUT', '*', '', '10'),
    );
    const put = preflight(service, ask('http://a.example', 'PUT', 'x-ms-blob-type, Content-Type'));
    assert.equal(put.status, 200);
    assert.equal(put.headers['Access-Control-Allow-Origin'], 'http://a.example');
    assert.equal(put.headers['Access-Control-Allow-Credentials'], 'true');
    assert.equal(put.headers['Access-Control-Allow-Methods'], 'PUT');
    assert.equal(put.headers['Access-Control-Allow-Headers'], 'x-ms-blob-type, Content-Type');
    assert.equal(put.headers['Access-Control-Max-Age'], 10);
    assert.equal(await attempt(service, ask('http://a.example', 'GET', 'X-MS-Meta-Any,Accept')), 'none');
    assert.equal(await attempt(service, ask('http://a.example', 'GET', 'authorization')), 'CorsPreflightFailure');
    assert.equal(await attempt(service, ask('http://a.example', 'DELETE')), 'CorsPreflightFailure');
    assert.equal(await attempt(service, ask('http://A.example', 'GET')), 'CorsPreflightFailure');
    assert.equal(await attempt(undefined, ask('http://a.example', 'GET')), 'CorsPreflightFailure');
    assert.equal(await attempt(service, { origin: 'http://a.example' }), 'MissingRequiredHeader');
  });

  test('an answer exposes what the rule names, and caches learn that origins differ', async () => {
    await using surface = await openTestSurface();
    const service = await rules(surface, rule('http://a.example', 'GET', '', 'etag,x-ms-meta-*'));
    assert.deepEqual(corsHeaders(service, 'http://a.example', 'GET', ['ETag', 'x-ms-meta-One', 'Server']), {
      'Access-Control-Allow-Origin': 'http://a.example',
      'Access-Control-Allow-Credentials': 'true',
      Vary: 'Origin',
      'Access-Control-Expose-Headers': 'ETag,x-ms-meta-One',
    });
    assert.deepEqual(corsHeaders(service, 'http://b.example', 'GET'), { Vary: 'Origin' });
    assert.deepEqual(corsHeaders(service, 'http://b.example', 'PUT'), {});
    assert.deepEqual(corsHeaders(undefined, 'http://a.example', 'GET'), {});
  });

  test('a rule for everybody names nobody, and a subdomain pattern takes subdomains alone', async () => {
    await using surface = await openTestSurface();
    const service = await rules(surface, rule('*', 'GET', '*', ''), rule('https://*.corp.example', 'PUT', '*', ''));
    assert.deepEqual(corsHeaders(service, 'http://x', 'GET'), { 'Access-Control-Allow-Origin': '*' });
    const allowed = (origin: string): boolean => 'Access-Control-Allow-Origin' in corsHeaders(service, origin, 'PUT');
    assert.ok(allowed('https://a.corp.example'));
    for (const origin of [
      'https://corp.example',
      'http://a.corp.example',
      'https://acorp.example',
      'https://.corp.example',
    ]) {
      assert.ok(!allowed(origin), origin);
    }
  });
});
