// Query Blob Contents: CSV, JSON and Parquet in, CSV, JSON and Arrow out, progress, and errors.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { type Checks, type Kit, put, readAll, refused, type Sdk } from '../kit.ts';

const rows = '100,200,300,400\n300,400,500,600\n';

interface Result {
  readonly bytes: Buffer;
  readonly text: string;
  readonly progress: readonly number[];
  readonly errors: readonly Sdk[];
}

async function ask(blob: Sdk, expression: string, options: object = {}): Promise<Result> {
  const progress: number[] = [];
  const errors: Sdk[] = [];
  const answer = await blob.query(expression, {
    onProgress: ({ loadedBytes }: Sdk) => progress.push(loadedBytes),
    onError: (error: Sdk) => errors.push(error),
    ...options,
  });
  const bytes = await readAll(answer.readableStreamBody);
  return { bytes, text: bytes.toString(), progress, errors };
}

const csv = (more: object = {}): object => ({
  kind: 'csv',
  recordSeparator: '\n',
  columnSeparator: ',',
  fieldQuote: '"',
  ...more,
});
const json = { kind: 'json', recordSeparator: '\n' };
const field = (type: string, name: string, precision?: number, scale?: number): object => ({
  type,
  name,
  ...(precision !== undefined && { precision, scale }),
});

/** `arrow` is the module that reads what comes as Arrow. */
export const query = (arrow: Sdk): Checks => ({
  'CSV comes back whole, with the last progress at its length': async (kit) => {
    const blob = await put(await kit.container(), 'a', rows.repeat(500));
    const { text, progress, errors } = await ask(blob, 'select * from BlobStorage');
    assert.equal(text, rows.repeat(500));
    assert.deepEqual(errors, []);
    assert.equal(progress.at(-1), rows.length * 500);
    assert.deepEqual(
      progress,
      progress.toSorted((one, other) => one - other),
    );
  },

  'fields are chosen and records filtered': async (kit) => {
    const blob = await put(await kit.container(), 'a', rows);
    assert.equal((await ask(blob, 'select _2, _4 from BlobStorage where _1 > 250')).text, '400,600\n');
    assert.equal((await ask(blob, 'select _2 from BlobStorage where _1 > 250 limit 0')).text, '');
    assert.equal((await ask(blob, 'select count(*), sum(_1) from BlobStorage')).text, '2,400\n');
  },

  'names of the header row': async (kit) => {
    const blob = await put(await kit.container(), 'a', 'id;"full name"\n1;x\n2;"y;z"\n');
    const inputTextConfiguration = csv({ columnSeparator: ';', hasHeaders: true });
    const outputTextConfiguration = csv({ hasHeaders: true });
    const expression = `select "full name" as n, ID from BlobStorage where id = 2`;
    const { text } = await ask(blob, expression, { inputTextConfiguration, outputTextConfiguration });
    assert.equal(text, 'n,ID\ny;z,2\n');
  },

  'CSV to JSON': async (kit) => {
    const blob = await put(await kit.container(), 'a', rows);
    const { text } = await ask(blob, 'select * from BlobStorage limit 1', { outputTextConfiguration: json });
    assert.deepEqual(JSON.parse(text), { _1: '100', _2: '200', _3: '300', _4: '400' });
  },

  'JSON to JSON and to CSV': async (kit) => {
    const lines = [
      { id: 1, name: 'a,b', deep: { list: [1, { x: true }] } },
      { id: 2, Name: 'c', extra: null },
    ];
    const blob = await put(await kit.container(), 'a', lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    const options = { inputTextConfiguration: json, outputTextConfiguration: json };
    const whole = await ask(blob, 'select * from BlobStorage', options);
    assert.deepEqual(
      whole.text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
      lines,
    );
    const some = await ask(blob, 'select name, deep.list[1].x from BlobStorage[*]', options);
    assert.equal(some.text, '{"name":"a,b","x":true}\n{"name":"c"}\n');
    const text = await ask(blob, 'select name from BlobStorage where id < 2', {
      ...options,
      outputTextConfiguration: csv(),
    });
    assert.equal(text.text, '"a,b"\n');
  },

  'CSV to Arrow, in every type': async (kit) => {
    const blob = await put(
      await kit.container(),
      'a',
      '7,true,2024-01-01T00:00:00Z,é,1.5,12.25\n-1,false,1969-12-31,,2,-0.5\n',
    );
    const schema = [
      field('int64', 'i'),
      field('bool', 'b'),
      field('timestamp[ms]', 't'),
      field('string', 's'),
      field('double', 'd'),
      field('decimal', 'c', 10, 2),
    ];
    const outputTextConfiguration = { kind: 'arrow', schema };
    const { bytes } = await ask(blob, 'select * from BlobStorage', { outputTextConfiguration });
    const table = arrow.tableFromIPC(bytes);
    assert.deepEqual(
      table.schema.fields.map(({ name, type }: Sdk) => `${name} ${type}`),
      ['i Int64', 'b Bool', 't Timestamp<MILLISECOND>', 's Utf8', 'd Float64', 'c Decimal[10e+2]'],
    );
    const got = table.toArray().map(({ i, b, t, s, d, c }: Sdk) => [Number(i), b, Number(t), s, d, String(c)]);
    assert.deepEqual(got, [
      [7, true, Date.UTC(2024, 0, 1), 'é', 1.5, '1225'],
      [-1, false, Date.UTC(1969, 11, 31), '', 2, '-50'],
    ]);
  },

  'Parquet to CSV, JSON and Arrow': async (kit) => {
    const blob = await put(await kit.container(), 'a', await parquetFile(kit));
    const inputTextConfiguration = { kind: 'parquet' };
    const filtered = await ask(blob, `select id, name from BlobStorage where price > 10 and id < 3`, {
      inputTextConfiguration,
    });
    assert.equal(filtered.text, '2,name 2\n');
    const { text } = await ask(blob, 'select * from BlobStorage limit 1', {
      inputTextConfiguration,
      outputTextConfiguration: json,
    });
    assert.deepEqual(JSON.parse(text), {
      id: 1,
      name: 'name 1',
      price: 6.25,
      at: '2024-01-02T00:00:00.000Z',
      tags: ['t1', 'x'],
    });
    const arrowed = await ask(blob, 'select id, tags[0] from BlobStorage', {
      inputTextConfiguration,
      outputTextConfiguration: { kind: 'arrow', schema: [field('int64', 'id'), field('string', 'tag')] },
    });
    assert.equal(arrow.tableFromIPC(arrowed.bytes).getChild('tag').get(4), 't5');
  },

  'a record that does not convert is an error that is not fatal': async (kit) => {
    const blob = await put(await kit.container(), 'a', '100,hello\n300,400\n');
    const { text, errors } = await ask(blob, 'select _1 from BlobStorage where _2 > 250');
    assert.equal(text, '300\n');
    assert.deepEqual(
      errors.map(({ name, isFatal, position }) => [name, isFatal, position]),
      [['InvalidTypeConversion', false, 0]],
    );
  },

  'text that is no JSON is a fatal error': async (kit) => {
    const blob = await put(await kit.container(), 'a', rows);
    const { text, errors } = await ask(blob, 'select * from BlobStorage', { inputTextConfiguration: json });
    assert.equal(text, '');
    assert.deepEqual(
      errors.map(({ name, isFatal }) => [name, isFatal]),
      [['ParseError', true]],
    );
  },

  'a query that cannot be served is refused': async (kit) => {
    const container = await kit.container();
    const blob = await put(container, 'a', rows);
    for (const expression of ['select', 'select * from other', `select read_text('/etc/passwd') from BlobStorage`]) {
      await refused(blob.query(expression), 400, 'InvalidInput');
    }
    await refused(container.getBlockBlobClient('none').query('select * from BlobStorage'), 404, 'BlobNotFound');
  },

  'conditions and leases hold': async (kit) => {
    const blob = await put(await kit.container(), 'a', rows);
    const { etag } = await blob.getProperties();
    const text = await ask(blob, 'select _1 from BlobStorage limit 1', { conditions: { ifMatch: etag } });
    assert.equal(text.text, '100\n');
    await refused(
      blob.query('select * from BlobStorage', { conditions: { ifMatch: '"0x1"' } }),
      412,
      'ConditionNotMet',
    );
    const leaseId = '11111111-2222-3333-4444-555555555555';
    const conditions = { leaseId };
    await refused(blob.query('select * from BlobStorage', { conditions }), 412, 'LeaseNotPresentWithBlobOperation');
  },

  'a filter over 16 MiB sends only what it selects': async (kit) => {
    const line = (at: number): string => `${at},name ${at},${(at * 7919) % 1000},"text, with a comma"\n`;
    const content = Buffer.from(Array.from({ length: 400_000 }, (_, at) => line(at)).join(''));
    const blob = await put(await kit.container(), 'a', content);
    const { text } = await ask(blob, `select _1, _4 from BlobStorage where _3 = 999 and _2 like '%1'`);
    const wanted = Array.from({ length: 400_000 }, (_, at) => at).filter(
      (at) => (at * 7919) % 1000 === 999 && at % 10 === 1,
    );
    // The selected field has a comma, so it comes in quotes.
    assert.equal(text, wanted.map((at) => `${at},"text, with a comma"\n`).join(''));
    return `${content.length} bytes read, ${text.length} sent`;
  },
});

async function parquetFile(kit: Kit): Promise<Buffer> {
  const path = join(kit.workDir, `${kit.name('parquet')}.parquet`);
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  try {
    const columns = `i AS id, 'name ' || i AS name, i * 6.25::DOUBLE AS price, DATE '2024-01-01' + i AS at, ['t' || i, 'x'] AS tags`;
    await connection.run(
      `COPY (SELECT ${columns} FROM range(1, 11) r(i0), LATERAL (SELECT i0::INTEGER AS i)) TO '${path}'`,
    );
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
  return await readFile(path);
}
