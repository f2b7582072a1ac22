// Copies from another server: what is asked of it, what is taken from it, and what its failures leave behind.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { crc64, crc64ToBase64 } from '../../codec/crc64.ts';
import type { Hold } from '../http/hold.ts';
import {
  assertTarget,
  at,
  content,
  copy,
  etag,
  md5,
  nothingLeft,
  operation,
  operations,
  refuse,
  refused,
  type Serve,
  serveBlob,
  sourceHeaders,
  withOther,
} from './remote-source.testing.ts';

const serve: Serve = (request, response) => serveBlob(request, response);

describe('of a source on another server', () => {
  test('copy blob takes bytes, properties and metadata, and is done when it is answered', async () => {
    await withOther(serve, async ({ client, other, url }) => {
      const { status, headers } = await client.send(copy(url));
      assert.deepEqual([status, headers['x-ms-copy-status']], [202, 'success']);
      const target = await assertTarget(client, content);
      for (const name of [
        'Content-Type',
        'Content-Encoding',
        'Content-Language',
        'Cache-Control',
        'Content-MD5',
      ] as const) {
        assert.equal(target[name], sourceHeaders[name]);
      }
      assert.equal(target['x-ms-meta-Colour'], 'green');
      const told = url.replace(/&?sig=[^&]*/, '');
      assert.ok(told !== url && told.startsWith(`${other.origin}/acc/box/a%20b?`));
      assert.equal(target['x-ms-copy-source'], told);
      assert.equal(target['x-ms-copy-progress'], `${content.length}/${content.length}`);
      assert.equal((await client.send(copy(url, { 'x-ms-meta-own': '1' }))).status, 202);
      const again = await assertTarget(client, content);
      assert.deepEqual([again['x-ms-meta-own'], again['x-ms-meta-Colour']], ['1', undefined]);
    });
  });

  test('put blob from url takes the properties unless told not to, and never the metadata', async () => {
    await withOther(serve, async ({ client, url }) => {
      const put = operation('put blob from url');
      assert.equal((await client.send(put(url, { 'x-ms-blob-cache-control': 'own' }))).status, 201);
      const target = await assertTarget(client, content);
      assert.deepEqual(
        [target['Content-Type'], target['Cache-Control'], target['x-ms-meta-Colour']],
        ['a/b', 'own', undefined],
      );
      assert.equal((await client.send(put(url, { 'x-ms-copy-source-blob-properties': 'false' }))).status, 201);
      const bare = await assertTarget(client, content);
      assert.deepEqual([bare['Content-Type'], bare['Content-Encoding']], ['application/octet-stream', undefined]);
    });
  });

  test('put block from url takes the whole or a range, and tells its sum', async () => {
    await withOther(serve, async ({ client, url }) => {
      const block = operation('put block from url');
      assert.equal((await client.send(block(url))).status, 201);
      await assertTarget(client, content, 'blocks');
      for (const [range, from, to] of [
        ['bytes=1000-270000', 1000, 270_001],
        ['bytes=299990-', 299_990, 300_000],
        ['bytes=299990-999999', 299_990, 300_000],
      ] as const) {
        const part = content.subarray(from, to);
        const { status, headers } = await client.send(block(url, { 'x-ms-source-range': range }));
        assert.equal(status, 201);
        assert.equal(headers['x-ms-content-crc64'], crc64ToBase64(crc64(part)));
        await assertTarget(client, part, 'blocks');
      }
      await refused(client, block(url, { 'x-ms-source-range': 'bytes=300000-' }), 416, 'InvalidRange');
      await refused(client, block(url, { 'x-ms-source-range': 'bytes=-5' }), 400, 'InvalidHeaderValue');
    });
  });

  test('an empty one is copied', async () => {
    const empty: Serve = (_request, response) => void response.writeHead(200, { 'Content-Length': 0 }).end();
    await withOther(empty, async ({ client, url }) => {
      assert.equal((await client.send(copy(url))).status, 202);
      assert.equal((await client.send({ url: at('target') })).text, '');
      await refused(client, operation('put block from url')(url), 416, 'InvalidRange');
    });
  });

  test('the tags are asked for, where they are wanted', async () => {
    const tagged: Serve = (request, response) => {
      if (request.url?.endsWith('&comp=tags') !== true) return serveBlob(request, response);
      const tag = (key: string, value: string) => `<Tag><Key>${key}</Key><Value>${value}</Value></Tag>`;
      response.end(`<Tags><TagSet>${tag('a', 'b c')}${tag('d', 'e')}</TagSet></Tags>`);
    };
    await withOther(tagged, async ({ client, other, url }) => {
      assert.equal((await client.send(copy(url))).status, 202);
      assert.equal(other.requests.length, 1);
      assert.equal((await assertTarget(client, content))['x-ms-tag-count'], undefined);
      const wanted = { 'x-ms-copy-source-tag-option': 'COPY' };
      assert.equal((await client.send(operation('copy blob from url')(url, wanted))).status, 202);
      assert.equal((await assertTarget(client, content))['x-ms-tag-count'], 2);
    });
    await withOther(serve, async ({ client, url }) => {
      const wanted = { 'x-ms-copy-source-tag-option': 'COPY' };
      await refused(client, operation('copy blob from url')(url, wanted), 409, 'CannotVerifyCopySource');
      await nothingLeft(client);
    });
  });

  test('a page blob is copied as one, zeros and all, and put as a block blob', async () => {
    const pages = Buffer.concat([Buffer.alloc(512 * 1024), content.subarray(0, 512 * 300), Buffer.alloc(4096)]);
    const page: Serve = (request, response) => {
      response.setHeader('x-ms-blob-type', 'PageBlob');
      response.setHeader('x-ms-blob-sequence-number', '7');
      response.writeHead(200, { 'Content-Length': pages.length }).end(request.method === 'GET' ? pages : undefined);
    };
    await withOther(page, async ({ client, url }) => {
      assert.equal((await client.send(copy(url))).status, 202);
      const target = await assertTarget(client, pages);
      assert.deepEqual([target['x-ms-blob-type'], target['x-ms-blob-sequence-number']], ['PageBlob', 7]);
      // A blob's type stays as long as it stands.
      assert.equal((await client.send(operation('put blob from url')(url))).status, 409);
      assert.equal((await client.send({ method: 'DELETE', url: at('target') })).status, 202);
      assert.equal((await client.send(operation('put blob from url')(url))).status, 201);
      assert.equal((await assertTarget(client, pages))['x-ms-blob-type'], 'BlockBlob');
    });
  });
});

describe('asked of the other server', () => {
  test('is what the address says, with the version, the conditions and the token', async () => {
    await withOther(serve, async ({ client, other, url }) => {
      const modified = 'Fri, 02 Jan 2026 03:04:05 GMT';
      const headers = {
        'x-ms-source-if-match': etag,
        'x-ms-source-if-modified-since': modified,
        'x-ms-source-if-none-match': '"other"',
        'x-ms-source-if-unmodified-since': modified,
        'x-ms-copy-source-authorization': 'Bearer abc.def',
        'x-ms-source-range': 'bytes=5-9',
      };
      const answered = await client.send(operation('put block from url')(url, headers));
      assert.equal(answered.status, 201);
      const [request] = other.requests;
      assert.ok(request);
      assert.deepEqual([request.method, request.url], ['GET', '/acc/box/a%20b?sv=2024-11-04&sig=s%3D']);
      const sent = request.headers;
      assert.equal(`http://${sent.host}`, other.origin);
      assert.equal(sent['x-ms-version'], '2024-11-04');
      assert.equal(sent['x-ms-client-request-id'], answered.headers['x-ms-request-id']);
      assert.deepEqual([sent['x-ms-range'], sent.range], ['bytes=5-9', 'bytes=5-9']);
      assert.deepEqual([sent['if-match'], sent['if-none-match']], [etag, '"other"']);
      assert.deepEqual([sent['if-modified-since'], sent['if-unmodified-since']], [modified, modified]);
      assert.equal(sent.authorization, 'Bearer abc.def');
    });
  });

  test('is nothing for a token of another kind, and nothing where the target refuses', async () => {
    await withOther(serve, async ({ client, other, url }) => {
      for (const request of Object.values(operations)) {
        const basic = { 'x-ms-copy-source-authorization': 'Basic c2VjcmV0' };
        const { text } = await refused(client, request(url, basic), 400, 'InvalidHeaderValue');
        assert.ok(!text.includes('c2VjcmV0'));
        const elsewhere = { ...request(url), url: request(url).url.replace('/docs/', '/none/') };
        await refused(client, elsewhere, 404, 'ContainerNotFound');
      }
      await client.put(at('target'), 'old');
      await refused(client, copy(url, { 'if-match': '"0x1"' }), 412, 'TargetConditionNotMet');
      await refused(client, copy(url, { 'if-none-match': '*' }), 409, 'BlobAlreadyExists');
      assert.equal(other.requests.length, 0);
      assert.equal((await client.send({ url: at('target') })).text, 'old');
    });
  });

  test('is nothing of a host that is not allowed', async () => {
    const settings = { copySourceHosts: ['.blob.core.windows.net'] };
    await withOther(
      serve,
      async ({ client, other, url }) => {
        for (const request of Object.values(operations)) {
          await refused(client, request(url), 400, 'CannotVerifyCopySource');
        }
        assert.equal(other.requests.length, 0);
      },
      settings,
    );
  });
});

for (const [name, request] of Object.entries(operations)) {
  describe(`${name} from another server`, () => {
    const isCopyBlob = name === 'copy blob';

    test('tells what the source refused with', async () => {
      for (const [status, code] of [
        [404, 'BlobNotFound'],
        [403, 'AuthorizationPermissionMismatch'],
        [401, 'NoAuthenticationInformation'],
        [409, 'SomethingNewer'],
        [503, 'ServerBusy'],
      ] as const) {
        await withOther(refuse(status, code), async ({ client, url }) => {
          const { headers, text } = await refused(client, request(url), status, 'CannotVerifyCopySource');
          assert.equal(headers['x-ms-copy-source-status-code'], `${status}`);
          assert.equal(headers['x-ms-copy-source-error-code'], code);
          assert.ok(text.includes(`<CopySourceStatusCode>${status}</CopySourceStatusCode>`), text);
          assert.ok(text.includes(`<CopySourceErrorCode>${code}</CopySourceErrorCode>`), text);
          assert.ok(!text.includes('not for the client'), text);
          await nothingLeft(client);
        });
      }
      for (const status of [412, 304]) {
        await withOther(refuse(status, 'ConditionNotMet'), async ({ client, url }) => {
          const [told, code] = isCopyBlob ? [412, 'SourceConditionNotMet'] : [status, 'CannotVerifyCopySource'];
          await refused(client, request(url), told as number, code as string);
        });
      }
    });

    test('follows no redirect, and takes no other answer for a source', async () => {
      const elsewhere: Serve = (_request, response, { origin, requests }) => {
        if (requests.length > 1) return void response.end('reached');
        response.writeHead(302, { location: `${origin}/elsewhere` }).end();
      };
      const answers: Serve[] = [
        elsewhere,
        (_request, response) => void response.writeHead(204).end(),
        (_request, response) => void response.writeHead(200).end('of a length that is not told'.repeat(1000)),
        (_request, response) =>
          void response.writeHead(206, { 'Content-Range': 'bytes 0-4/5', 'Content-Length': 5 }).end('12345'),
        (_request, response) =>
          void response.writeHead(200, { 'Content-Length': 1, 'x-ms-meta-': '1', 'Content-MD5': 'no' }).end('1'),
      ];
      for (const answer of answers) {
        await withOther(answer, async ({ client, other, url }) => {
          const { headers } = await refused(client, request(url), 409, 'CannotVerifyCopySource');
          assert.match(`${headers['x-ms-copy-source-status-code']}`, /^(302|20[046])$/);
          assert.equal(other.requests.length, 1);
          await nothingLeft(client);
        });
      }
    });

    test('leaves nothing of a source that ends early, and keeps what was there', async () => {
      const early: Serve = (_request, response) => {
        response.writeHead(200, { ...sourceHeaders, 'Content-Length': content.length });
        response.write(content.subarray(0, 200_000), () => setTimeout(() => response.destroy(), 20));
      };
      await withOther(early, async ({ client, url }) => {
        const { status, code } = await client.send(request(url));
        assert.equal(code, 'CannotVerifyCopySource');
        assert.ok(status >= 400);
        await nothingLeft(client);
        await client.put(at('target'), 'old');
        assert.ok((await client.send(request(url))).status >= 400);
        assert.equal((await client.send({ url: at('target') })).text, 'old');
      });
    });

    test('goes on where the source was cut, while it is the same', async () => {
      const cut: Serve = (asked, response, { requests }) =>
        serveBlob(asked, response, requests.length < 3 ? 100_000 : undefined);
      await withOther(cut, async ({ client, other, url }) => {
        assert.ok((await client.send(request(url))).status < 300);
        await assertTarget(client, content, name === 'put block from url' ? 'blocks' : 'whole');
        assert.deepEqual(
          other.requests.map(({ headers }) => [headers['x-ms-range'], headers['if-match']]),
          [
            [undefined, undefined],
            ['bytes=100000-299999', etag],
            ['bytes=200000-299999', etag],
          ],
        );
      });
      const changed: Serve = (asked, response, from) => {
        if (from.requests.length === 1) return serveBlob(asked, response, 100_000);
        refuse(412, 'ConditionNotMet')(asked, response, from);
      };
      await withOther(changed, async ({ client, url }) => {
        assert.ok((await client.send(request(url))).status >= 400);
        await nothingLeft(client);
      });
      const never: Serve = (asked, response) => serveBlob(asked, response, 10);
      await withOther(never, async ({ client, other, url }) => {
        await refused(client, request(url), 500, 'CannotVerifyCopySource');
        assert.equal(other.requests.length, 5);
        await nothingLeft(client);
      });
    });

    test('leaves nothing of a source that stalls, before its answer or within', async () => {
      const stalls: Serve[] = [
        () => undefined,
        (_request, response) => {
          response.writeHead(200, { 'Content-Length': content.length });
          response.write(content.subarray(0, 100));
        },
      ];
      for (const stall of stalls) {
        await withOther(
          stall,
          async ({ client, url }) => {
            const { text } = await refused(client, request(url), 500, 'CannotVerifyCopySource');
            assert.match(text, /within the specified time/);
            await nothingLeft(client);
          },
          { stallTimeoutMs: 100 },
        );
      }
    });

    test('waits for a source that is slow', async () => {
      const slow: Serve = async (_request, response) => {
        response.writeHead(200, { ...sourceHeaders, 'Content-Length': content.length });
        for (let from = 0; from < content.length; from += 50_000) {
          await new Promise((resolve) => setTimeout(resolve, 150));
          response.write(content.subarray(from, from + 50_000));
        }
        response.end();
      };
      await withOther(
        slow,
        async ({ client, url }) => {
          assert.ok((await client.send(request(url))).status < 300);
          await assertTarget(client, content, name === 'put block from url' ? 'blocks' : 'whole');
        },
        { stallTimeoutMs: 600 },
      );
    });

    test('takes no more than a source announced, and goes on with the next', async () => {
      const more: Serve = (_request, response) => {
        // More than the head says can only be written behind HTTP's back.
        response.socket?.write(`HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n${'x'.repeat(500)}`);
      };
      await withOther(more, async ({ client, url }) => {
        assert.ok((await client.send(request(url))).status < 300);
        await assertTarget(client, Buffer.from('xxxxx'), name === 'put block from url' ? 'blocks' : 'whole');
        assert.ok((await client.send(request(url))).status < 300);
      });
    });

    test('does not reach a host that is not there', async () => {
      await withOther(serve, async ({ client, other, url }) => {
        await other[Symbol.asyncDispose]();
        const { text } = await refused(client, request(url), 409, 'CannotVerifyCopySource');
        assert.match(text, /ECONNREFUSED/);
        await nothingLeft(client);
      });
    });

    test('asks again where a connection that was kept turns out to be closed', async () => {
      const connections = new WeakSet<object>();
      const once: Serve = (asked, response) => {
        if (connections.has(asked.socket)) return void asked.socket.resetAndDestroy();
        connections.add(asked.socket);
        serveBlob(asked, response);
      };
      await withOther(once, async ({ client, other, url }) => {
        assert.ok((await client.send(request(url))).status < 300);
        assert.ok((await client.send(request(url))).status < 300);
        assert.equal(other.requests.length, 3);
      });
    });

    test('ends when its client goes away', async () => {
      const asked = Promise.withResolvers<void>();
      const closed = Promise.withResolvers<void>();
      const stall: Serve = (_request, response) => {
        response.writeHead(200, { 'Content-Length': content.length });
        response.write(content.subarray(0, 100), () => asked.resolve());
        response.once('close', () => closed.resolve());
      };
      await withOther(stall, async ({ client, url }) => {
        const gone = new AbortController();
        const hold: Hold = (work) => work(gone.signal);
        const sent = client.send({ ...request(url), hold });
        await asked.promise;
        gone.abort();
        assert.equal((await sent).code, 'InvalidInput');
        await closed.promise;
        await nothingLeft(client);
      });
    });

    if (!isCopyBlob) {
      test('checks the sums that it is given', async () => {
        await withOther(serve, async ({ client, url }) => {
          const wrongMd5 = { 'x-ms-source-content-md5': md5(Buffer.from('other')) };
          const wrongCrc = { 'x-ms-source-content-crc64': crc64ToBase64(1n) };
          await refused(client, request(url, wrongMd5), 400, 'Md5Mismatch');
          await refused(client, request(url, wrongCrc), 400, 'Crc64Mismatch');
          await refused(client, request(url, { ...wrongMd5, ...wrongCrc }), 400, 'BothCrc64AndMd5HeaderPresent');
          await nothingLeft(client);
          assert.ok((await client.send(request(url, { 'x-ms-source-content-md5': md5(content) }))).status < 300);
          const crc = crc64ToBase64(crc64(content));
          assert.ok((await client.send(request(url, { 'x-ms-source-content-crc64': crc }))).status < 300);
        });
      });
    }
  });
}
