// Lines of $logs as their readers take them apart.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recordOf } from './audit.testing.ts';
import { formatStorageLog } from './storage-log-format.ts';

/** As readers do: what is quoted may hold a semicolon, and a quote in it is an entity. */
function fieldsOf(line: string): string[] {
  return [...line.trimEnd().matchAll(/(?:^|;)(?:"([^"]*)"|([^;]*))/g)].map((match) => match[1] ?? match[2] ?? '');
}

test('a line has the documented fields, in their order', () => {
  const record = {
    ...recordOf('a', Date.UTC(2026, 0, 31, 12, 5, 6, 7)),
    AuthenticationType: 'SAS',
    Uri: 'http://h/acc/c/a;b"c?x=1&y=<2>',
    Etag: '"0x1"',
    UserAgentHeader: 'agent\n; "x"',
    RequesterObjectId: 'oid',
  };
  const line = formatStorageLog(record, '1.0');
  assert.ok(line.endsWith('\n') && !line.slice(0, -1).includes('\n'));
  const fields = fieldsOf(line);
  assert.equal(fields.length, 30);
  assert.deepEqual(fields.slice(0, 5), ['1.0', '2026-01-31T12:05:06.0070000Z', 'GetBlob', 'Success', '200']);
  assert.deepEqual(fields.slice(7, 13), [
    'sas',
    '',
    'acc',
    'blob',
    'http://h/acc/c/a;b&quot;c?x=1&amp;y=&lt;2&gt;',
    '/acc/c/a',
  ]);
  assert.equal(fields[24], '0x1');
  assert.equal(fields[27], 'agent&#10;; &quot;x&quot;');
  const newer = fieldsOf(formatStorageLog(record, '2.0'));
  assert.deepEqual([newer.length, newer[0], newer[30]], [38, '2.0', 'oid']);
});
