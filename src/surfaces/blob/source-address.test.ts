// Which addresses of a copy's source are this server's, which another's that may be asked, and which neither.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BlobError } from './errors.ts';
import { parseSource, toldSource } from './source-address.ts';

const own = '127.0.0.1:10000';
const azure = ['.blob.core.windows.net'];

function kindOf(url: string, hosts: readonly string[] = azure, host = own): string {
  try {
    return parseSource(url, host, hosts).kind;
  } catch (error) {
    if (error instanceof BlobError) return error.errorCode;
    throw error;
  }
}

describe('a copy’s source', () => {
  test('is told with the state that was read, and without what proves a right', () => {
    const sas = 'sv=2022-11-02&se=2030-01-01&sr=b&sp=r';
    const url = 'https://a.example/box/b';
    assert.equal(
      toldSource(`${url}?snapshot=2026-01-01T00:00:00.0000000Z&${sas}&sig=s%3D`),
      `${url}?snapshot=2026-01-01T00:00:00.0000000Z&${sas}`,
    );
    assert.equal(toldSource(`${url}?SIG=s&X-Amz-Signature=s&token=s?sig=s`), url);
    assert.equal(toldSource(url), url);
  });

  test('on this server is local, whatever may be copied from', () => {
    assert.equal(kindOf('http://127.0.0.1:10000/a/b/c', ['*']), 'local');
    assert.equal(kindOf('http://one.blob.here:1/b/c', ['*'], 'two.blob.here:1'), 'local');
    assert.equal(kindOf('http://one.blob.here:1/b/c', [], 'two.blob.here:2'), 'CannotVerifyCopySource');
  });

  test('on an allowed host is remote, and asked for as it was given', () => {
    const found = parseSource('HTTPS://Acc.Blob.Core.Windows.Net:443/box/a%2F%20b/../c?x=1&sig=a%2Bb%3D', own, azure);
    assert.deepEqual(found, {
      kind: 'remote',
      address: {
        protocol: 'https:',
        hostname: 'acc.blob.core.windows.net',
        port: '',
        path: '/box/a%2F%20b/../c?x=1&sig=a%2Bb%3D',
      },
    });
    const six = parseSource('http://[0:0::1]:81', own, ['::1']);
    assert.deepEqual(six, {
      kind: 'remote',
      address: { protocol: 'http:', hostname: '::1', port: '81', path: '/' },
    });
  });

  test('is matched in whole labels', () => {
    const allowed = (host: string, ...hosts: string[]): boolean => kindOf(`https://${host}/b/c`, hosts) === 'remote';
    assert.ok(allowed('acc.blob.core.windows.net', ...azure));
    assert.ok(allowed('acc.z1.blob.core.windows.net:8443', ...azure));
    assert.ok(!allowed('evilblob.core.windows.net', ...azure));
    assert.ok(!allowed('blob.core.windows.net', ...azure));
    assert.ok(!allowed('acc.blob.core.windows.net.evil.example', ...azure));
    assert.ok(!allowed('acc.blob.core.windows.net.', ...azure));
    assert.ok(!allowed('core.windows.net', ...azure));
    assert.ok(allowed('a.example', 'a.example'));
    assert.ok(allowed('b.A.example', 'A.Example'));
    assert.ok(!allowed('ba.example', 'a.example'));
    assert.ok(!allowed('a.example'));
    assert.ok(allowed('anything.at.all', '*'));
  });

  test('at an address is matched as that address, however it is written', () => {
    const allowed = (host: string, ...hosts: string[]): boolean => kindOf(`http://${host}/b/c`, hosts) === 'remote';
    assert.ok(allowed('127.0.0.2', '127.0.0.2'));
    assert.ok(allowed('0x7f.2', '127.0.0.2'));
    assert.ok(!allowed('127.0.0.2', '0.0.2', '.0.0.2'));
    assert.ok(!allowed('169.254.169.254', ...azure));
    assert.ok(!allowed('2852039166', ...azure));
    assert.ok(!allowed('[::ffff:169.254.169.254]', ...azure));
    assert.ok(!allowed('localhost', ...azure));
  });

  test('that can be read in two ways is refused, also where every host may be copied from', () => {
    for (const authority of [
      'user@a.example',
      'user:word@a.example',
      'a.example@127.0.0.1',
      '127.0.0.1\\.blob.core.windows.net',
      '127.0.0.1%2f.blob.core.windows.net',
      '127.0.0.1%00.blob.core.windows.net',
      'a.example:99999',
      'a.example:1:2',
      '[::1',
      '１27.0.0.1',
      ':80',
    ]) {
      assert.equal(kindOf(`http://${authority}/b/c`, ['*', ...azure]), 'CannotVerifyCopySource', authority);
    }
    for (const url of ['ftp://a.example/b', 'a.example/b', 'http:/a.example/b', 'http://a.example/b#c', 'http:///b']) {
      assert.equal(kindOf(url, ['*']), 'InvalidHeaderValue', url);
    }
    assert.equal(kindOf('http://a.example/b c', ['*']), 'InvalidHeaderValue');
    assert.equal(kindOf('http://a.example/b\r\nX: y', ['*']), 'InvalidHeaderValue');
  });
});
