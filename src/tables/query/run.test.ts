// What queries answer, over every form of input and output.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../../base/random.ts';
import type { ArrowFormat } from './formats.ts';
import { csv, json, query } from './run.testing.ts';

const textOf = async (...of: Parameters<typeof query>): Promise<string> => {
  const { text, faults, refused } = await query(...of);
  assert.deepEqual([faults, refused], [[], undefined]);
  return text;
};

test('a record whose value does not convert is told of, and the rest goes on', async () => {
  const content = '100,pizza,300,400\n300,400,500,600\n';
  const { text, faults } = await query('SELECT _1 from BlobStorage WHERE _2 > 250;', content);
  assert.equal(text, '300\n');
  const description = 'Invalid type conversion.';
  assert.deepEqual(faults, [{ fatal: false, name: 'InvalidTypeConversion', description, position: 0 }]);
});

test('a record without the field that is asked for is told of, by its place in the blob', async () => {
  const { text, faults } = await query('SELECT B, a from BlobStorage', 'a,b\n1,x\nq\n2,3', csv({ hasHeaders: true }));
  assert.equal(text, 'x,1\n3,2\n');
  assert.deepEqual(
    faults.map(({ name, position }) => [name, position]),
    [['InvalidColumnOrdinal', 8]],
  );
});

test('records keep their lengths, fields are quoted where they must be, an empty line is no record', async () => {
  const content = 'a,1.5\r\n1,x,y\r\n\r\n"q ""z""",,\r\nonly\n';
  assert.equal(await textOf('SELECT * FROM BlobStorage', content), 'a,1.5\n1,x,y\n"q ""z""",,\nonly\n');
  const output = csv({ columnSeparator: ';', fieldQuote: "'", recordSeparator: '.', escapeCharacter: '\\' });
  assert.equal(await textOf('SELECT * FROM BlobStorage', content, csv(), output), `a;'1.5'.1;x;y.q "z";;.only.`);
});

test('names of the first record name the columns, for the query and for the output', async () => {
  const input = csv({ hasHeaders: true });
  const content = 'id,"full name"\n1,x\n2,y\n';
  assert.equal(await textOf('SELECT "full name" FROM BlobStorage WHERE ID = 2', content, input), 'y\n');
  assert.equal(await textOf('SELECT _2 FROM BlobStorage WHERE _1 = 2', content, input), 'y\n');
  assert.equal(await textOf('SELECT * FROM BlobStorage LIMIT 1', content, input, json), '{"id":"1","full name":"x"}\n');
  const head = csv({ hasHeaders: true });
  // Also where no record has as many fields, and where the content is written anew.
  for (const mark of ['', '\\']) {
    const odd = csv({ hasHeaders: true, escapeCharacter: mark });
    assert.equal(await textOf('SELECT * FROM BlobStorage', 'a,b\n1\n', odd, head), 'a,b\n1\n');
  }
  assert.equal(await textOf('SELECT id AS n FROM BlobStorage', content, input, head), 'n\n1\n2\n');
  assert.match((await query('SELECT nope FROM BlobStorage', content, input)).refused ?? '', /no column "nope"/);
});

test('text in any form is read: other separators, returns within fields, bytes that are no UTF-8', async () => {
  const odd = csv({ columnSeparator: '::', recordSeparator: '#', escapeCharacter: '\\' });
  const content = 'a::b#c::"x#y"#d\\#e::f#';
  assert.equal(await textOf('SELECT * FROM BlobStorage', content, odd), 'a,b\nc,x#y\nd#e,f\n');
  const binary = Buffer.from('"a"x,b\n\xff,\xc3\xa9\nz,"q\rr"\n', 'latin1');
  assert.equal(await textOf('SELECT _1, _2 FROM BlobStorage', binary), 'ax,b\n\ufffd,é\nz,q\rr\n');
});

test('JSON records: fields by path, in any case, left out where they are missing', async () => {
  const content = '{"name": "owner", "id": 1}\n{"name2": "owner2"}\n{"NAME": null}\n';
  assert.equal(
    await textOf('SELECT name from BlobStorage', content, json, { kind: 'json', recordSeparator: ';' }),
    '{"name":"owner"};{};{"name":null};',
  );
  assert.equal(await textOf('SELECT id FROM BlobStorage WHERE "name" IS NOT MISSING', content, json), '1\n');
  const deep = '{"id":1,"weight":0.2,"tags":["a","b,c"],"houses":[{"x":41.8,"y":-87.6},{"x":2}],"d":{"length":3}}';
  const paths = 'SELECT weight, houses[0].y, id, tags[1] FROM BlobStorage[*]';
  assert.equal(await textOf(paths, deep, json), '0.2,-87.6,1,"b,c"\n');
  assert.equal(await textOf('SELECT x FROM BlobStorage[*].houses[*]', deep, json, json), '{"x":41.8}\n{"x":2}\n');
  assert.equal(await textOf('SELECT length FROM BlobStorage[*].d WHERE length > 2', deep, json), '3\n');
  assert.equal(await textOf('SELECT * FROM BlobStorage', '{ "a" : [1, 2] }', json, json), '{"a":[1,2]}\n');
  assert.equal(await textOf('SELECT * FROM BlobStorage', '{"a":[1,2],"b":"x"}', json), '"[1,2]",x\n');
});

test('a record that is no JSON ends the query', async () => {
  const { text, faults } = await query('SELECT a FROM BlobStorage', '{"a":1}\n{name: owner}\n{"a":2}\n', json);
  assert.equal(text, '1\n');
  const description = `Unexpected token 'n' at [byte: 1]. Expecting token '"'.`;
  assert.deepEqual(faults, [{ fatal: true, name: 'ParseError', description, position: 8 }]);
});

test('aggregates are over the records that are good', async () => {
  const content = '1,b\n2,a\nx,c\n3,z\n';
  const sql = `SELECT COUNT(*), SUM(_1), AVG(CAST(_1 AS INT)), MIN(_2), MAX(_2) FROM BlobStorage WHERE _2 <> 'z'`;
  const { text, faults } = await query(sql, content);
  assert.equal(text, '2,3,1.5,a,b\n');
  assert.deepEqual(
    faults.map(({ position }) => position),
    [8],
  );
  assert.equal(await textOf('SELECT COUNT(*) FROM BlobStorage', ''), '0\n');
  assert.match((await query('SELECT _1, COUNT(*) FROM BlobStorage', content)).refused ?? '', /together/);
});

test('a limit counts good records', async () => {
  assert.equal(await textOf('SELECT _1 FROM BlobStorage LIMIT 2', 'a\nb\nc\n'), 'a\nb\n');
  const { text, faults } = await query('SELECT _1 FROM BlobStorage WHERE _1 > 1 LIMIT 2', 'a\n2\n1\n3\n4\nq\n');
  assert.deepEqual([text, faults.length], ['2\n3\n', 1]);
});

test('the right side of AND and OR counts only where the left one does not decide', async () => {
  const content = 'n,1\nt,x\nn,5\n';
  assert.equal(await textOf(`SELECT _2 FROM BlobStorage WHERE _1 = 'n' AND CAST(_2 AS INT) > 2`, content), '5\n');
  assert.equal(await textOf(`SELECT _2 FROM BlobStorage WHERE _1 = 't' OR CAST(_2 AS INT) > 2`, content), 'x\n5\n');
});

// "Query acceleration SQL language reference", its examples among them.
const expressions: readonly (readonly [string, string])[] = [
  [`DATE_ADD('minute', 1, CAST('2017-01-02T03:04:05.006Z' AS TIMESTAMP))`, '2017-01-02T03:05:05.006Z'],
  [`DATE_DIFF('hour','2018-11-09T00:00+05:30','2018-11-09T01:00:23-08:00')`, '14'],
  [`EXTRACT(YEAR FROM '2010-01-01T')`, '2010'],
  [`EXTRACT(TIMEZONE_HOUR FROM '2018-11-09T00:00-08:30')`, '-8'],
  [`EXTRACT(TIMEZONE_MINUTE FROM '2018-11-09T00:00-08:30')`, '-30'],
  [`TO_STRING(CAST('1969-07-20T20:18Z' AS TIMESTAMP), 'MMMM d y')`, 'July 20 1969'],
  [`TO_STRING('1969-07-20T20:18:05.25Z', 'yy-MM-dd h:mm:ss a SSS XXX')`, '69-07-20 8:18:05 PM 250 Z'],
  [`TO_TIMESTAMP('2007T')`, '2007-01-01T00:00:00.000Z'],
  ['UTCNOW()', '2026-01-02T03:04:05.678Z'],
  [`CAST('2020-01-31' AS TIMESTAMP) + 1`, '2020-02-01T00:00:00.000Z'],
  [`CHARACTER_LENGTH('abcdéfg')`, '7'],
  [`LOWER('AbC') || UPPER('d')`, 'abcD'],
  [`SUBSTRING('123456789', 2, 5)`, '23456'],
  [`TRIM(BOTH '123' FROM '1112211Microsoft22211122')`, 'Microsoft'],
  [`TRIM(LEADING FROM '  a ')`, 'a '],
  ['COALESCE(_9, _1)', '1'],
  [`NULLIF(_1, '1')`, ''],
  ['7 / 2', '3'],
  ['7 / 2.0', '3.5'],
  ['7 % 4 - 1', '2'],
  ['-_1', '-1'],
  ['600.0', '600'],
  ['NOT (_1 = 1)', 'false'],
  ['_1 IN (1, 2)', 'true'],
  ['_1 BETWEEN 0.5 AND 1.5', 'true'],
  [`'a%c' LIKE 'a!%_' ESCAPE '!'`, 'true'],
  ['_9 IS NULL', 'true'],
  ['CAST(12.7 AS INT)', '12'],
  [`CAST(' 12 ' AS INT)`, '12'],
  ['9007199254740993 = 9007199254740992', 'false'],
  [`'it''s'`, `it's`],
];

test('expressions are worth what the reference says', async () => {
  for (const [sql, expected] of expressions) {
    assert.equal(await textOf(`SELECT ${sql} FROM BlobStorage`, '1,2\n'), `${expected}\n`, sql);
  }
});

test('what has no value is told of', async () => {
  for (const sql of ['1 / 0', '9223372036854775807 + 1', `CAST('12.5' AS INT)`, `CAST('maybe' AS BOOLEAN)`, '_9']) {
    const { text, faults } = await query(`SELECT ${sql} FROM BlobStorage`, '1,2\n');
    assert.deepEqual([text, faults.length], ['', 1], sql);
  }
});

test('sys.split tells the sizes of batches of whole records', async () => {
  const sizes = await textOf('SELECT sys.split(10485760) FROM BlobStorage', 'abcdef\n'.repeat(3_500_000));
  assert.equal(sizes, '10485762\n10485762\n3528476\n');
  const quoted = await textOf('SELECT sys.split(10485760) FROM BlobStorage', '"a\n"\n'.repeat(2_500_000));
  assert.equal(quoted, '10485760\n2014240\n');
});

test('Arrow output is a stream of a schema and batches', async () => {
  const output: ArrowFormat = {
    kind: 'arrow',
    fields: [
      { type: 'int64', name: 'i', precision: 38, scale: 0 },
      { type: 'decimal', name: 'd', precision: 10, scale: 2 },
      { type: 'string', name: 's', precision: 38, scale: 0 },
    ],
  };
  const sql = 'SELECT _1, _2, _3 FROM BlobStorage';
  const { bytes, faults } = await query(sql, '7,12.25,é\n-1,-0.5,\nx,1,y\n', csv(), output);
  assert.deepEqual(
    faults.map(({ position }) => position),
    [20],
  );
  const messages: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    assert.equal(bytes.readUInt32LE(at), 0xffff_ffff);
    const length = bytes.readUInt32LE(at + 4);
    assert.equal(length % 8, 0);
    // The body's length is the last slot of the message's table.
    const message = bytes.subarray(at + 8, at + 8 + length);
    const body = length === 0 ? 0 : bodyLength(message);
    messages.push(bytes.subarray(at + 8 + length, at + 8 + length + body));
    at += 8 + length + body;
  }
  assert.equal(messages.length, 3);
  const batch = messages[1] as Buffer;
  assert.deepEqual([batch.readBigInt64LE(0), batch.readBigInt64LE(8)], [7n, -1n]);
  assert.deepEqual([batch.readBigInt64LE(16), batch.readBigInt64LE(32), batch.readBigInt64LE(40)], [1225n, -50n, -1n]);
  assert.deepEqual(
    [48, 52, 56].map((at) => batch.readInt32LE(at)),
    [0, 2, 2],
  );
  assert.equal(batch.subarray(64, 66).toString(), 'é');
});

function bodyLength(message: Buffer): number {
  const table = message.readInt32LE(0);
  const places = table - message.readInt32LE(table);
  const place = message.readUInt16LE(places + 4 + 3 * 2);
  return place === 0 ? 0 : Number(message.readBigInt64LE(table + place));
}

test('content that grows beyond its bounds when it is written anew is not queried', async () => {
  // Each of these bytes is no character: it becomes three. And each of the empty fields becomes two quotes.
  const noText = Buffer.concat([Buffer.alloc(100_000, 0x80), Buffer.from('\n')]);
  const empty = `${`${','.repeat(10_000)}\r\n`.repeat(10)}"\n`;
  for (const [content, input] of [
    [noText, json],
    [empty, csv({ recordSeparator: '\r\n', escapeCharacter: '\\' })],
  ] as const) {
    const sql = 'SELECT COUNT(*) FROM BlobStorage';
    const { faults, refused } = await query(sql, content, input, csv(), 250_000);
    assert.deepEqual([refused, faults.map(({ name }) => name)], [undefined, ['ResourcesExceeded']]);
    const enough = await query(sql, content, input, csv(), 400_000);
    assert(enough.faults.every(({ name }) => name !== 'ResourcesExceeded'));
  }
});

test('long records are read a few at a time, whatever is quoted in them', async () => {
  const random = seededRandom(3);
  const parts = ['a', '""', '\n', ',', 'é', '\r\n', "'"];
  const lengthy = (at: number): string => {
    const odd = Array.from({ length: random.below(8) }, () => parts[random.below(parts.length)]).join('');
    return `"${'x'.repeat(20_000 + random.below(10_000))}${odd}",${at}\n`;
  };
  const rows = Array.from({ length: 900 }, (_, at) => lengthy(at));
  const content = `"the\nname",n\n${rows.join('')}`;
  assert.ok(Buffer.byteLength(content) > 2 ** 24);
  const input = csv({ hasHeaders: true });
  const numbers = rows.map((_, at) => `${at}\n`).join('');
  assert.equal(await textOf('SELECT n FROM BlobStorage', content, input), numbers);
  // A field without a comma, quote or line feed needs no quotes.
  const plain = rows.map((row) => row.replace(/^"([^",\n]*)"(,\d+\n)$/, '$1$2')).join('');
  assert.ok((await textOf('SELECT * FROM BlobStorage', content, input)) === plain);
  const lines = rows.map((row, at) => `{"s":${JSON.stringify(row)},"n":${at}}\n`).join('');
  assert.ok((await textOf('SELECT * FROM BlobStorage', lines, json, json)) === lines);
  assert.equal(await textOf('SELECT n FROM BlobStorage', lines, json), numbers);
});

test('a record without an end is told of, and takes no more memory than one that is too long', async () => {
  const endless = Buffer.alloc(40_000_000, 'x');
  const apart = { kind: 'json', recordSeparator: ';' } as const;
  for (const [input, first] of [
    [csv(), 'a'],
    [csv({ hasHeaders: true }), 'a'],
    [csv({ escapeCharacter: '\\' }), 'a'],
    [csv(), '"a'],
    [json, '{"a":"'],
    [apart, '{"a":"'],
  ] as const) {
    const { faults } = await query('SELECT * FROM BlobStorage', Buffer.concat([Buffer.from(first), endless]), input);
    assert.deepEqual(
      faults.map(({ name, fatal, position }) => [name, fatal, position]),
      [['RecordTooLong', true, 0]],
      `${input.kind} ${first}`,
    );
  }
});
