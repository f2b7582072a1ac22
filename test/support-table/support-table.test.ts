// docs/blob-api.md is what the tables say, and the tables say what the handlers do.
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { operations } from '../../src/surfaces/blob/operations.ts';
import { titlesOf, unknownMarks, writeDocument } from './document.ts';
import { count, documented, type Item, itemsOf, statusOfOperation } from './documented.ts';
import type { Heard } from './record.ts';
import { type Played, play } from './scenario.ts';
import { common, type Documented } from './words.ts';

const root = join(import.meta.dirname, '..', '..');

/** Answered outside the table of operations. */
const outsideTable: ReadonlySet<string> = new Set(['PreflightBlobRequest']);

describe('the document', () => {
  test('is what `bin/node test/support-table/run.ts` writes', () => {
    assert.equal(readFileSync(join(root, 'docs', 'blob-api.md'), 'utf8'), writeDocument(operations));
  });

  test('has every row of the table of operations once, and no other', () => {
    for (const { name } of operations)
      assert.equal(titlesOf(name).length, 1, `${name} stands in no operation, or in two`);
    const rows = new Set([...operations.map(({ name }) => name), ...outsideTable]);
    for (const { title, rows: named } of documented) {
      for (const name of named) assert.ok(rows.has(name), `${title}: there is no row ${name}`);
    }
  });

  test('names nothing twice, and marks nothing that it does not name', () => {
    for (const operation of documented) {
      const names = itemsOf(operation).map(({ kind, name }) => `${kind} ${name}`);
      assert.equal(
        new Set(names).size,
        names.length,
        `${operation.title}: ${names.filter((name, at) => names.indexOf(name) !== at)}`,
      );
      assert.deepEqual(unknownMarks(operation), [], operation.title);
    }
  });

  test('has something of each status', () => {
    const counted = count(documented.map(statusOfOperation));
    assert.ok(counted.done > 0 && counted.partial > 0 && counted.not > 0);
  });
});

describe('what the document says of an operation', () => {
  let played: Played;
  before(async () => {
    played = await play();
  });
  after(() => played[Symbol.asyncDispose]());

  for (const operation of documented.filter(({ rows }) => rows.length > 0)) {
    test(`holds: ${operation.title}`, async () => {
      const heard = heardOf(played, operation);
      assert.equal(heard.codes.has('NotImplemented'), false);
      if (operation.instead !== undefined) {
        assert.equal(heard.succeeded, undefined, 'it is answered with success');
        assert.deepEqual([...heard.codes], [operation.instead.code]);
        return;
      }
      // Nothing is ever there for it to abort.
      if (operation.title !== 'Abort Copy Blob')
        assert.ok(heard.succeeded !== undefined, 'nothing was answered with success');
      for (const item of itemsOf(operation)) await holds(item, heard, played);
    });
  }

  test('holds of what is no row', async () => {
    const rename = { method: 'PUT', container: 'box', query: 'restype=container&comp=rename' };
    await assert.rejects(played.ask(rename), { errorCode: 'InvalidQueryParameterValue' });
  });

  test('holds of all of them together', () => {
    const files = globSync('src/surfaces/{blob,http}/*.ts', { cwd: root }).filter((path) => !testFile.test(path));
    const text = [...files, 'src/identity/shared-key.ts']
      .map((path) => readFileSync(join(root, path), 'utf8').toLowerCase())
      .join('\n');
    for (const { kind, name, mark } of itemsOf(common)) {
      const forms =
        kind === 'query' ? [`query, '${name}'`, `query.has('${name}'`] : [`'${name}'`, `headers.${name}`, ` ${name}:`];
      const found = forms.some((form) => text.includes(form));
      assert.equal(
        found,
        mark?.status !== 'not',
        `${name}: ${found ? 'it is in the source' : 'it is nowhere in the source'}`,
      );
    }
  });
});

function heardOf({ heard }: Played, { title, rows }: Documented): Heard {
  const found = heard.get(rows[0] as string);
  assert.ok(found !== undefined && rows.length === 1, `${title} is not played`);
  return found;
}

const testFile = /\.(test|testing|fuzz)\.ts$/;
const sentinel = 'nothing that anything could be';

async function holds({ kind, name, mark }: Item, heard: Heard, played: Played): Promise<void> {
  const shown = `${name} (${kind}): ${mark === undefined ? 'done' : mark.status}`;
  if (kind === 'response') {
    assert.equal(heard.headersSent.has(name), mark?.status !== 'not', `${shown}, sent: ${heard.headersSent.has(name)}`);
    return;
  }
  const read = (kind === 'query' ? heard.queryRead : heard.headersRead).has(name);
  if (mark?.status !== 'not') assert.ok(read, `${shown}, and it is not read`);
  else if (mark.how === 'ignored') assert.ok(!read, `${shown}, and it is read`);
  else {
    const asked = heard.succeeded ?? {};
    const { status, code } = await played.ask({ ...asked, headers: { ...asked.headers, [name]: sentinel } });
    assert.deepEqual([status, code], [400, 'UnsupportedHeader'], shown);
  }
}
