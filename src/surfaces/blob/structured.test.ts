// Bodies as structured messages: what is stored of one, what is refused before anything is stored, and what comes back.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { crc64, crc64ToBase64 } from '../../codec/crc64.ts';
import {
  decodeStructured,
  encodeStructured,
  structuredBody,
  structuredLength,
} from '../../codec/structured-message.ts';
import { fsck } from '../../namespace/fsck.ts';
import type { Answer } from '../http/answer.ts';
import { containerCall, openTestSurface, testAccount } from './call.testing.ts';
import type { BlobCall } from './call.ts';
import { type Answered, TestClient } from './dispatch.testing.ts';
import { getBlob } from './get-blob.ts';

type Headers = Readonly<Record<string, string>>;

const at = (name: string, query = ''): string => `/${testAccount}/box/${name}${query === '' ? '' : `?${query}`}`;
const blockId = Buffer.from('one').toString('base64');

async function withClient(work: (client: TestClient) => Promise<void>): Promise<void> {
  await using surface = await openTestSurface();
  const client = new TestClient(surface);
  await client.container('box');
  await work(client);
  const lines: string[] = [];
  assert.equal((await fsck(surface.store, (line) => lines.push(line))).damage, 0, lines.join('\n'));
}

async function message(content: Buffer, segmentBytes?: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const lent = { bytes: content, release: () => undefined };
  for await (const { bytes } of encodeStructured([lent], content.length, segmentBytes)) chunks.push(Buffer.from(bytes));
  return Buffer.concat(chunks);
}

const announced = (length: number, more: Headers = {}): Headers => ({
  'x-ms-structured-body': structuredBody,
  'x-ms-structured-content-length': `${length}`,
  ...more,
});

/** Every way to send bytes, each to a blob that is there. */
const uploads: readonly (readonly [what: string, url: string, headers: Headers])[] = [
  ['Put Block', at('blocks', `comp=block&blockid=${blockId}`), {}],
  ['Append Block', at('log', 'comp=appendblock'), {}],
  ['Put Page', at('disk', 'comp=page'), { 'x-ms-page-write': 'update', 'x-ms-range': 'bytes=0-65535' }],
  ['Put Blob', at('whole'), { 'x-ms-blob-type': 'BlockBlob' }],
];

async function targets(client: TestClient): Promise<void> {
  assert.equal((await client.put(at('log'), '', { 'x-ms-blob-type': 'AppendBlob' })).status, 201);
  const page = { 'x-ms-blob-type': 'PageBlob', 'x-ms-blob-content-length': '65536' };
  assert.equal((await client.put(at('disk'), '', page)).status, 201);
  assert.equal((await client.put(at('whole'), 'before')).status, 201);
}

const send = (client: TestClient, url: string, body: Buffer, headers: Headers): Promise<Answered> =>
  client.send({ method: 'PUT', url, body, headers });

async function bytesOf({ body }: Answer): Promise<Buffer> {
  assert.ok(body !== undefined && typeof body !== 'string');
  if (Buffer.isBuffer(body)) return body;
  const chunks: Buffer[] = [];
  for await (const { bytes, release } of body.chunks) {
    chunks.push(Buffer.from(bytes));
    release();
  }
  return Buffer.concat(chunks);
}

async function read(client: TestClient, name: string, headers: Headers = {}): Promise<Answer & { bytes: Buffer }> {
  const call = containerCall(client.surface, 'box', { blob: name, headers }) as BlobCall;
  const answer = await getBlob(call);
  return { ...answer, bytes: await bytesOf(answer) };
}

const content = Buffer.alloc(65536, 'some content that is not the same all over ');

describe('an upload as a structured message', () => {
  for (const [what, url, headers] of uploads) {
    test(`stores its content: ${what}`, async () => {
      await withClient(async (client) => {
        await targets(client);
        const sent = await send(client, url, await message(content, 1000), announced(content.length, headers));
        assert.equal(sent.status, 201, `${sent.code}`);
        assert.equal(sent.headers['x-ms-structured-body'], structuredBody);
        assert.equal(sent.headers['x-ms-content-crc64'], crc64ToBase64(crc64(content)));
        if (what === 'Put Block') {
          const list = `<BlockList><Latest>${blockId}</Latest></BlockList>`;
          assert.equal((await send(client, at('blocks', 'comp=blocklist'), Buffer.from(list), {})).status, 201);
        }
        const name = url.slice(at('').length).split('?')[0] as string;
        assert.deepEqual((await read(client, name)).bytes, content);
      });
    });

    test(`with a wrong sum changes nothing: ${what}`, async () => {
      await withClient(async (client) => {
        await targets(client);
        const good = await message(content, 1000);
        // A bit of the first segment, one of the last, and one of the sum of all.
        for (const where of [30, good.length - 40, good.length - 1]) {
          const spoiled = Buffer.from(good);
          spoiled[where] = (spoiled[where] as number) ^ 1;
          const sent = await send(client, url, spoiled, announced(content.length, headers));
          assert.deepEqual([sent.status, sent.code], [400, 'Crc64Mismatch'], `byte ${where}`);
          assert.match(sent.text, /<UserSpecifiedCrc>.+<ServerCalculatedCrc>/);
        }
        assert.equal((await read(client, 'whole')).bytes.toString(), 'before');
        assert.equal((await read(client, 'disk')).bytes.equals(Buffer.alloc(65536)), true);
        assert.equal((await client.send({ method: 'HEAD', url: at('log') })).headers['Content-Length'], 0);
        assert.equal((await client.send({ url: at('blocks', 'comp=blocklist&blocklisttype=all') })).status, 404);
      });
    });
  }

  test('may be empty', async () => {
    await withClient(async (client) => {
      const sent = await client.put(at('none'), await message(Buffer.alloc(0)), announced(0));
      assert.equal(sent.status, 201, `${sent.code}`);
      assert.equal((await client.send({ method: 'HEAD', url: at('none') })).headers['Content-Length'], 0);
    });
  });

  test('is refused where it is cut, is longer, or is not what was announced', async () => {
    await withClient(async (client) => {
      const good = await message(content, 1000);
      const refused = async (body: Buffer, headers: Headers, code: string): Promise<void> => {
        const sent = await client.put(at('new'), body, headers);
        assert.deepEqual([sent.status, sent.code], [400, code]);
      };
      await refused(good.subarray(0, -1), announced(content.length), 'InvalidInput');
      await refused(Buffer.concat([good, Buffer.from('x')]), announced(content.length), 'InvalidInput');
      await refused(good, announced(content.length - 1), 'InvalidInput');
      await refused(content, announced(content.length), 'InvalidInput');
      await refused(good, announced(content.length, { 'x-ms-content-crc64': 'AAAAAAAAAAA=' }), 'InvalidInput');
      await refused(good, announced(content.length, { 'content-md5': '1B2M2Y8AsgTpgAmY7PhCfg==' }), 'InvalidInput');
      await refused(good, { 'x-ms-structured-body': structuredBody }, 'MissingRequiredHeader');
      await refused(good, announced(content.length, { 'x-ms-structured-body': 'XSM/2.0' }), 'InvalidHeaderValue');
      await refused(good, announced(2 ** 53), 'InvalidHeaderValue');
      assert.equal((await client.send({ url: at('new') })).status, 404);
    });
  });

  test('of too much content is refused before it is read', async () => {
    await withClient(async (client) => {
      await targets(client);
      const headers = announced(2 ** 42, { 'x-ms-blob-type': 'BlockBlob' });
      assert.deepEqual((await send(client, at('new'), Buffer.alloc(9), headers)).code, 'RequestBodyTooLarge');
    });
  });

  test('is refused where there is no body that it could be', async () => {
    await withClient(async (client) => {
      await targets(client);
      const asks = [
        ['PUT', at('new'), { 'x-ms-blob-type': 'AppendBlob' }],
        ['PUT', at('disk', 'comp=page'), { 'x-ms-page-write': 'clear', 'x-ms-range': 'bytes=0-511' }],
        ['PUT', at('blocks', 'comp=blocklist'), {}],
        ['PUT', at('whole', 'comp=metadata'), {}],
        ['HEAD', at('whole'), {}],
      ] as const;
      for (const [method, url, headers] of asks) {
        const { status, code } = await client.send({ method, url, headers: announced(0, headers) });
        assert.deepEqual([status, code], [400, 'UnsupportedHeader'], `${method} ${url}`);
      }
    });
  });
});

describe('a download as a structured message', () => {
  const asked = { 'x-ms-structured-body': structuredBody };

  async function contentOf(answer: Answer & { bytes: Buffer }): Promise<Buffer> {
    const contentLength = answer.headers['x-ms-structured-content-length'] as number;
    assert.equal(answer.headers['x-ms-structured-body'], structuredBody);
    assert.equal((answer.body as { length: number }).length, answer.bytes.length);
    assert.equal(answer.bytes.length, structuredLength(contentLength));
    const parts: Uint8Array[] = [];
    const sent = (async function* () {
      yield answer.bytes;
    })();
    for await (const part of decodeStructured(sent, { messageLength: answer.bytes.length, contentLength }))
      parts.push(part);
    return Buffer.concat(parts);
  }

  for (const length of [0, 10, 100_000, 9 * 1024 * 1024 + 1]) {
    test(`has ${length} bytes in segments`, async () => {
      await withClient(async (client) => {
        const bytes = Buffer.alloc(length, 'content');
        assert.equal((await client.put(at('a'), bytes)).status, 201);
        const answer = await read(client, 'a', asked);
        assert.equal(answer.status, 200);
        assert.deepEqual(await contentOf(answer), bytes);
        assert.equal(answer.bytes.readUInt16LE(11), Math.max(1, Math.ceil(length / (4 * 1024 * 1024))));
        if (length === 0) return;
        const part = await read(client, 'a', { ...asked, 'x-ms-range': 'bytes=3-8' });
        assert.equal(part.status, 206);
        assert.equal(part.headers['Content-Range'], `bytes 3-8/${length}`);
        assert.deepEqual(await contentOf(part), bytes.subarray(3, 9));
      });
    });
  }

  test('is a plain one where it is not asked for, and where there is nothing new', async () => {
    await withClient(async (client) => {
      const { headers } = await client.put(at('a'), 'text');
      const plain = await read(client, 'a');
      assert.equal(plain.bytes.toString(), 'text');
      assert.equal(plain.headers['x-ms-structured-body'], undefined);
      const none = await client.send({ url: at('a'), headers: { ...asked, 'if-none-match': `${headers.ETag}` } });
      assert.deepEqual([none.status, none.headers['x-ms-structured-body'], none.text], [304, undefined, '']);
    });
  });

  test('is refused in a form that is not known', async () => {
    await withClient(async (client) => {
      await client.put(at('a'), 'text');
      const { code } = await client.send({
        url: at('a'),
        headers: { 'x-ms-structured-body': 'XSM/1.0; properties=x' },
      });
      assert.equal(code, 'InvalidHeaderValue');
      const none = await client.send({ url: at('none'), headers: { 'x-ms-structured-body': 'other' } });
      assert.equal(none.code, 'InvalidHeaderValue');
      // A read that failed beside it would end the process by now.
      await new Promise((resolve) => setImmediate(resolve));
      const missing = await client.send({ url: at('none'), headers: { 'x-ms-structured-body': structuredBody } });
      assert.deepEqual(
        [missing.status, missing.code, missing.headers['x-ms-structured-body']],
        [404, 'BlobNotFound', undefined],
      );
    });
  });
});
