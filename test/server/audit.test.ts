// The audit log of a whole server: a record a request, tied to the journal, verified, exported, and proof against changes.
import assert from 'node:assert/strict';
import {
  appendFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { accountSas, developmentAccount, developmentKey } from '../support/sas.ts';
import { causeway, eventually, Server, temporaryDirectory } from './program.ts';

type Line = Readonly<Record<string, string | number>> & { readonly Type: string };

const settings = ['auditFlushMs=20', 'requestLog=false', 'scanIntervalMs=50'];

function logFiles(data: string): string[] {
  const root = join(data, 'audit');
  // It is made by the first record.
  if (!existsSync(root)) return [];
  return readdirSync(root).flatMap((chain) => readdirSync(join(root, chain)).map((file) => join(root, chain, file)));
}

/** Its last one may be torn. */
function linesOf(path: string): Line[] {
  const whole = readFileSync(path, 'utf8').split('\n').slice(0, -1);
  return whole.map((line) => JSON.parse(line) as Line);
}

const requestsOf = (data: string): Line[] =>
  logFiles(data)
    .flatMap(linesOf)
    .filter(({ Type }) => Type === 'StorageBlobLogs');

async function verify(data: string, code: 0 | 1, ...words: string[]): Promise<string> {
  const ended = await causeway('audit', 'verify', '--data', data, ...words);
  assert.equal(ended.code, code, ended.out + ended.err);
  return ended.out;
}

/** Whatever happens, no server outlives the work with it. */
async function withServer(
  data: string,
  work: (server: Server) => Promise<void>,
  { workers = 1, more = [] as readonly string[] } = {},
): Promise<void> {
  const server = await Server.start({ data, workers, settings: [...settings, ...more] });
  try {
    await work(server);
  } finally {
    server.program.kill();
  }
}

/** A server that was used a little and stopped. */
async function used(data: string): Promise<void> {
  await withServer(data, async (server) => {
    await server.createContainer('box');
    for (let n = 0; n < 20; n++) assert.equal((await server.put(`/box/b${n}`, Buffer.from(`${n}`))).status, 201);
    assert.equal(await server.stop(), 0);
  });
}

describe('a server', { timeout: 120_000 }, () => {
  test('records every request with who, what, how it ended, and the record of its change', async () => {
    const data = temporaryDirectory();
    await withServer(data, (server) => recordsEverything(server, data), { workers: 2 });
    await verify(data, 0);
  });

  async function recordsEverything(server: Server, data: string): Promise<void> {
    await server.createContainer('pictures');
    const put = await server.put('/pictures/a b', Buffer.from('hello'), { 'user-agent': 'tester "1"' });
    const got = await server.call({ path: '/pictures/a b', headers: { 'x-ms-client-request-id': 'mine' } });
    const missing = await server.call({ path: '/pictures/none' });
    const denied = await server.call({ path: '/pictures/a b', key: Buffer.alloc(64).toString('base64') });
    const sas = accountSas(developmentAccount, developmentKey, new Date(Date.now() + 60_000));
    const bySas = await fetch(`${server.blob.origin}/devstoreaccount1/pictures/a%20b?${sas}`);
    assert.equal(bySas.status, 200, await bySas.text());
    const stranger = await fetch(`${server.blob.origin}/devstoreaccount1/pictures/a%20b?%73ig=c2VjcmV0`);
    await stranger.text();
    assert.equal((await server.call({ method: 'DELETE', path: '/pictures/a b' })).status, 202);
    await eventually(
      () => requestsOf(data).length === 8,
      'eight records',
      10_000,
      () => logFiles(data).join('\n'),
    );
    const records = requestsOf(data);
    const of = (id: unknown): Line => records.find((each) => each.CorrelationId === id) as Line;

    const written = of(put.headers['x-ms-request-id']);
    assert.deepEqual(
      [written.OperationName, written.Category, written.StatusCode, written.StatusText, written.AuthenticationType],
      ['PutBlob', 'StorageWrite', 201, 'Success', 'AccountKey'],
    );
    assert.equal(written.ObjectKey, '/devstoreaccount1/pictures/a b');
    assert.equal(written.RequestBodySize, 5);
    assert.equal(written.UserAgentHeader, 'tester "1"');
    assert.equal(written.Etag, put.headers.etag);
    assert.match(String(written.CallerIpAddress), /^127\.0\.0\.1:\d+$/);
    assert.match(String(written.JournalId), /^[0-9a-f]{24}$/);
    const read = of(got.headers['x-ms-request-id']);
    assert.deepEqual([read.OperationName, read.Category, read.ResponseBodySize], ['GetBlob', 'StorageRead', 5]);
    assert.equal(read.ClientRequestId, 'mine');
    assert.equal(read.JournalId, undefined);
    assert.equal(of(missing.headers['x-ms-request-id']).StatusText, 'BlobNotFound');
    const refused = of(denied.headers['x-ms-request-id']);
    assert.deepEqual(
      [refused.StatusCode, refused.StatusText, refused.AuthenticationType],
      [403, 'AuthenticationFailed', 'AccountKey'],
    );
    const signed = of(bySas.headers.get('x-ms-request-id'));
    assert.deepEqual([signed.AuthenticationType, signed.StatusText], ['SAS', 'SASSuccess']);
    assert.match(String(signed.Uri), /[?&]sig=XXXXX(&|$)/);
    assert.match(String(signed.AuthenticationHash), /^SasSignature\([0-9A-F]{64}\)$/);
    const bytes = logFiles(data)
      .map((file) => readFileSync(file, 'utf8'))
      .join('');
    assert.ok(!bytes.includes(encodeURIComponent(new URLSearchParams(sas).get('sig') as string)));
    assert.ok(!bytes.includes('c2VjcmV0'));
    assert.ok(!bytes.includes('SharedKey'));

    // It runs, and is verified and exported beside it.
    assert.match(
      await verify(data, 0),
      /2 chains, 2 files, \d+ records, 0 findings|1 chains, 1 files, \d+ records, 0 findings/,
    );
    const exported = await causeway('audit', 'export', '--data', data, '--account', 'devstoreaccount1');
    assert.equal(exported.code, 0, exported.err);
    assert.equal(exported.out.trim().split('\n').length, 8);
    const csv = await causeway('audit', 'export', '--data', data, '--format', 'csv');
    assert.match(csv.out, /^Chain,Seq,TimeGenerated,AccountName,/);
    assert.match(csv.out, /"tester ""1"""/);
    const none = await causeway('audit', 'export', '--data', data, '--to', '2020-01-01');
    assert.deepEqual([none.code, none.out], [0, '']);
    assert.equal(await server.stop(), 0);
  }

  test('that audits nothing leaves no log', async () => {
    const data = temporaryDirectory();
    const work = async (server: Server): Promise<void> => {
      await server.createContainer('box');
      assert.equal(await server.stop(), 0);
    };
    await withServer(data, work, { more: ['audit=false'] });
    assert.equal(readdirSync(data).includes('audit'), false);
  });

  test('writes the requests of an account that asks for them to its $logs, which only the server writes', async () => {
    const data = temporaryDirectory();
    const work = async (server: Server): Promise<void> => {
      await server.createContainer('box');
      const logging =
        '<Logging><Version>1.0</Version><Delete>true</Delete><Read>false</Read><Write>true</Write>' +
        '<RetentionPolicy><Enabled>true</Enabled><Days>3</Days></RetentionPolicy></Logging>';
      const body = Buffer.from(`<StorageServiceProperties>${logging}</StorageServiceProperties>`);
      const set = await server.call({ method: 'PUT', path: '/', query: 'restype=service&comp=properties', body });
      assert.equal(set.status, 202, set.body.toString());
      // The server that runs learns of it within half a minute; another at once.
      assert.equal(await server.stop(), 0);
    };
    await withServer(data, work);
    await withServer(
      data,
      async (server) => {
        const listing = { path: '/$logs', query: 'restype=container&comp=list&include=metadata' };
        await server.put('/box/one', Buffer.from('1'));
        await server.put('/box/two', Buffer.from('2'));
        await server.call({ path: '/box/two' });
        let list = '';
        await eventually(
          async () => {
            list = (await server.call(listing)).body.toString();
            return list.includes('</Blob>');
          },
          'a log',
          10_000,
          () => list,
        );
        const names = [...list.matchAll(/<Name>(blob\/\d{4}\/\d\d\/\d\d\/\d\d00\/\d{6}\.log)<\/Name>/g)];
        assert.ok(names.length > 0, list);
        assert.match(list, /<LogType>write<\/LogType><StartTime>\d{4}-[^<]*Z<\/StartTime><EndTime>/);
        let text = '';
        for (const [, name] of names) text += (await server.call({ path: `/$logs/${name}` })).body.toString();
        assert.match(text, /^1\.0;\d{4}-.*;PutBlob;Success;201;/m);
        assert.ok(!text.includes(';GetBlob;'), text);
        assert.equal((await server.put('/$logs/mine', Buffer.from('x'))).status, 403);
        const gone = await server.call({ method: 'DELETE', path: '/$logs', query: 'restype=container' });
        assert.equal(gone.status, 403);
        const containers = await server.call({ path: '/', query: 'comp=list' });
        assert.ok(!containers.body.toString().includes('$logs'));
        assert.equal((await server.call({ method: 'DELETE', path: `/$logs/${names[0]?.[1]}` })).status, 202);
      },
      { more: ['storageLogsFlushMs=100', 'audit=false'] },
    );
  });

  test('that was killed has a torn end, and no finding', async () => {
    const data = temporaryDirectory();
    await withServer(data, async (server) => {
      await server.createContainer('box');
      await eventually(() => requestsOf(data).length === 1, 'a record');
      await server.put('/box/b', Buffer.from('x'));
      await eventually(() => requestsOf(data).length === 2, 'another record');
      server.program.kill();
      await server.program.ended();
    });
    appendFileSync(logFiles(data)[0] as string, '{"Seq":5,"Type":"Stor');
    assert.match(await verify(data, 0), /1 torn ends of a crash, 0 findings/);
    // The next run closes that chain and names it in its own.
    await used(data);
    assert.match(await verify(data, 0), /2 chains, 2 files, .*1 torn ends of a crash, 0 findings/);
    const openings = logFiles(data).map((file) => linesOf(file)[0] as unknown as { Others: { chain: string }[] });
    assert.deepEqual(openings.map(({ Others }) => Others.length).sort(), [0, 1]);
  });
});

describe('a verifier', { timeout: 120_000 }, () => {
  const data = temporaryDirectory();
  let first = '';
  let second = '';
  let kept: Buffer;

  test('is content with two runs', async () => {
    await used(data);
    first = logFiles(data)[0] as string;
    await used(data);
    second = logFiles(data).find((file) => file !== first) as string;
    assert.match(await verify(data, 0), /2 chains, 2 files, 46 records, 0 findings/);
    kept = readFileSync(first);
  });

  const damaged = (title: string, damage: () => void, finding: RegExp) =>
    test(`finds ${title}`, async () => {
      damage();
      try {
        assert.match(await verify(data, 1), finding);
      } finally {
        writeFileSync(first, kept);
      }
      await verify(data, 0);
    });

  damaged(
    'a changed byte',
    () => {
      const at = kept.indexOf('/box/b7"');
      const changed = Buffer.from(kept);
      changed[at + 6] = '8'.charCodeAt(0);
      writeFileSync(first, changed);
    },
    /record \d+, file .*: the record, or what stands before it, was changed/,
  );
  damaged(
    'a removed record',
    () => {
      const lines = kept.toString().split('\n');
      writeFileSync(first, [...lines.slice(0, 5), ...lines.slice(6)].join('\n'));
    },
    /record 6, file .*: record 6 is missing/,
  );
  damaged('a cut end', () => truncateSync(first, kept.lastIndexOf('{"Seq"')), /the end was cut: record 23 is missing/);
  damaged('a removed file', () => rmSync(first), /record 1: the end was cut: records 1 to 23 are missing/);
  damaged(
    'swapped files',
    () => {
      const other = readFileSync(second);
      writeFileSync(first, other);
    },
    /the file is file 1 of chain [0-9a-f]{32}/,
  );
  damaged(
    'an added record',
    () => appendFileSync(first, kept.subarray(0, kept.indexOf('\n') + 1)),
    /record 1 stands in its place/,
  );

  test('finds a removed chain', async () => {
    const away = join(data, 'away');
    renameSync(join(first, '..'), away);
    assert.match(await verify(data, 1), /the end was cut: records 1 to 23 are missing/);
    renameSync(away, join(first, '..'));
    await verify(data, 0);
  });

  test('finds what another place remembers otherwise', async () => {
    const chain = first.split('/').at(-2) as string;
    const last = linesOf(first).at(-1) as Line;
    await verify(data, 0, '--head', `${chain}:${last.Seq}:${last.Hash}`);
    const out = await verify(data, 1, '--head', `${chain}:${last.Seq}:${'0'.repeat(64)}`);
    assert.match(out, /records up to it were rewritten/);
  });
});
