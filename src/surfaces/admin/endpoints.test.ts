// Addresses from the listener's settings and from `publicHost`.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { blobEndpoint, connectionString, resourceUrl, websiteEndpoint } from './endpoints.ts';

const listener = { host: '127.0.0.1', blobPort: 10_000, tlsCertificate: '', publicHost: '' };

test('an address is one that a client can connect to', () => {
  const cases: [settings: Partial<typeof listener>, endpoint: string][] = [
    [{}, 'http://127.0.0.1:10000'],
    [{ host: '0.0.0.0' }, 'http://127.0.0.1:10000'],
    [{ host: '::' }, 'http://[::1]:10000'],
    [{ host: 'fd00::1', blobPort: 80 }, 'http://[fd00::1]:80'],
    [{ tlsCertificate: 'a.pem' }, 'https://127.0.0.1:10000'],
    [{ host: '0.0.0.0', publicHost: 'blobs.example' }, 'http://blobs.example:10000'],
    [{ tlsCertificate: 'a.pem', publicHost: 'blobs.example' }, 'https://blobs.example:10000'],
    [{ publicHost: 'blobs.example:8443' }, 'http://blobs.example:8443'],
    [{ publicHost: 'fd00::1' }, 'http://[fd00::1]:10000'],
    [{ publicHost: '[fd00::1]:81' }, 'http://[fd00::1]:81'],
    [{ publicHost: 'https://blobs.example' }, 'https://blobs.example'],
    [{ publicHost: 'https://blobs.example:8443' }, 'https://blobs.example:8443'],
  ];
  for (const [settings, endpoint] of cases) assert.equal(blobEndpoint({ ...listener, ...settings }), endpoint);
});

test('a website has an address where the host has a name', () => {
  assert.equal(websiteEndpoint('http://127.0.0.1:10000', 'ann'), 'http://ann.web.localhost:10000/');
  assert.equal(websiteEndpoint('http://[::1]:10000', 'ann'), 'http://ann.web.localhost:10000/');
  assert.equal(websiteEndpoint('https://blobs.example', 'ann'), 'https://ann.web.blobs.example/');
  assert.equal(websiteEndpoint('http://10.0.0.1:10000', 'ann'), undefined);
});

test('a connection string says the endpoint’s protocol, and a URL encodes names', () => {
  assert.equal(
    connectionString('https://h:1', 'ann', 'a2V5'),
    'DefaultEndpointsProtocol=https;AccountName=ann;AccountKey=a2V5;BlobEndpoint=https://h:1/ann;',
  );
  assert.equal(resourceUrl('http://h:1', 'ann', 'box', 'a b/ü?.txt'), 'http://h:1/ann/box/a%20b/%C3%BC%3F.txt');
  assert.equal(resourceUrl('http://h:1', 'ann'), 'http://h:1/ann');
});
