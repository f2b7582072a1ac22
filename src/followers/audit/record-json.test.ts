// A record's JSON: the same as `JSON.stringify` makes, whatever a request sent.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { recordOf } from './audit.testing.ts';
import { type AuditRecord, auditColumns } from './record.ts';
import { formatRecord } from './record-json.ts';

const numbers = new Set<string>([
  ...['StatusCode', 'OperationCount', 'DurationMs', 'ServerLatencyMs', 'RequestHeaderSize', 'RequestBodySize'],
  ...['ResponseHeaderSize', 'ResponseBodySize', 'ContentLengthHeader'],
]);
/** Of a few words of the server's own, or hexadecimal digits: nothing of a request stands in them. */
const own = new Set<string>([
  ...['TimeGenerated', 'Category', 'OperationName', 'ServiceType', 'Protocol', 'StatusText', 'AuthenticationType'],
  ...['AuthenticationHash', 'JournalId'],
]);

test('a record with any text in it is written as JSON.stringify writes it', () => {
  const columns = auditColumns.filter((column) => !own.has(column));
  const hostile = fc.string({ unit: 'binary' });
  const lone = fc.constantFrom('\ud800', 'a\udc00"', '\u2028', '\u0000\\');
  const number = fc.double({ noNaN: true, noDefaultInfinity: true });
  const anything = Object.fromEntries(
    columns.map((column) => [
      column,
      fc.oneof<fc.Arbitrary<string | number | undefined>[]>(
        fc.constant(undefined),
        numbers.has(column) ? number : fc.oneof(hostile, lone),
      ),
    ]),
  );
  fc.assert(
    fc.property(fc.record(anything), (fields) => {
      // In the order of the columns, with what is always there from a record as the server makes it.
      const given = {
        ...recordOf('name'),
        ...Object.fromEntries(Object.entries(fields).filter(([, v]) => v !== undefined)),
      };
      const ordered: Record<string, unknown> = { Type: given.Type };
      for (const column of auditColumns) ordered[column] = (given as Record<string, unknown>)[column];
      const record = ordered as unknown as AuditRecord;
      assert.deepEqual(JSON.parse(formatRecord(record)), JSON.parse(JSON.stringify(record)));
      assert.equal(formatRecord(record), JSON.stringify(record));
    }),
  );
});

test('a length that is no number does not break the line', () => {
  const record = { ...recordOf('name'), ContentLengthHeader: Number.NaN };
  assert.equal(JSON.parse(formatRecord(record)).ContentLengthHeader, null);
});
