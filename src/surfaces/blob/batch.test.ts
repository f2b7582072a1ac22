// Blob Batch: the body in any form, what is refused, and the answer that SDKs read.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Answer } from '../http/answer.ts';
import { batch } from './batch.ts';
import { boundaryOf, formatBatch, parseBatch } from './batch-body.ts';
import {
  containerCall,
  openTestSurface,
  refusal,
  serviceCall,
  type TestRequest,
  type TestSurface,
  testAccount,
} from './call.testing.ts';
import type { BatchPart } from './call.ts';
import { BlobError, errorAnswer } from './errors.ts';

const boundary = 'batch_1';
const contentType = `multipart/mixed; boundary=${boundary}`;

interface Request {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly contentId?: string;
}

function write(requests: readonly Request[], lineEnd = '\r\n'): string {
  let out = '';
  for (const { method, url, headers, contentId } of requests) {
    const lines = [`--${boundary}`, 'Content-Type: application/http', 'Content-Transfer-Encoding: binary'];
    if (contentId !== undefined) lines.push(`Content-ID: ${contentId}`);
    lines.push('', `${method} ${url} HTTP/1.1`);
    for (const name in headers) lines.push(`${name}: ${headers[name]}`);
    lines.push('', '');
    out += lines.join(lineEnd);
  }
  return `${out}--${boundary}--${lineEnd}`;
}

const remove = (blob: string, contentId?: string): Request => ({
  method: 'DELETE',
  url: `/${testAccount}/box/${blob}`,
  headers: { 'x-ms-date': 'Fri, 02 Jan 2026 03:04:05 GMT', Authorization: 'SharedKey a:b=', 'Content-Length': '0' },
  ...(contentId !== undefined && { contentId }),
});
const tier = (blob: string): Request => ({ method: 'PUT', url: `/${testAccount}/box/${blob}?comp=tier`, headers: {} });

describe('the body of a batch', () => {
  const token = fc
    .stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,8}$/)
    .filter((text) => text.toLowerCase() !== 'content-length');
  const value = fc.stringMatching(/^[!-~]([ -~]{0,12}[!-~])?$/);
  const headers = fc
    .uniqueArray(fc.tuple(token, value), { maxLength: 5, selector: ([name]) => name.toLowerCase() })
    .map((entries) => Object.fromEntries(entries));
  const request = fc
    .record({
      method: fc.constantFrom('DELETE', 'PUT', 'GET'),
      url: fc.stringMatching(/^\/[!-~]{0,30}$/),
      headers,
      contentId: fc.option(fc.stringMatching(/^[0-9A-Za-z-]{1,6}$/), { nil: undefined }),
    })
    .map(({ contentId, ...rest }) => ({ ...rest, ...(contentId !== undefined && { contentId }) }));

  test('is read as it was written, with either line end', () => {
    fc.assert(
      fc.property(
        fc.array(request, { minLength: 1, maxLength: 8 }),
        fc.constantFrom('\r\n', '\n'),
        (requests, lineEnd) => {
          const parsed = parseBatch(write(requests, lineEnd), boundary);
          assert.equal(parsed.kind, 'ok');
          if (parsed.kind !== 'ok') return;
          assert.equal(parsed.parts.length, requests.length);
          for (const [i, part] of parsed.parts.entries()) {
            const wanted = requests[i] as Request;
            assert.deepEqual([part.method, part.url, part.contentId], [wanted.method, wanted.url, wanted.contentId]);
            const lower = Object.entries(wanted.headers).map(([name, text]) => [name.toLowerCase(), text]);
            assert.deepEqual({ ...part.headers }, Object.fromEntries(lower));
          }
        },
      ),
    );
  });

  test('that is cut, doubled or mangled anywhere is an outcome, never an exception', () => {
    const whole = write([remove('a', '0'), tier('b')]);
    const mangled = fc.tuple(fc.nat(whole.length), fc.nat(whole.length), fc.string({ unit: 'binary', maxLength: 6 }));
    fc.assert(
      fc.property(mangled, ([from, to, more]) => {
        const text = whole.slice(0, from) + more + whole.slice(to);
        assert.ok(['ok', 'malformed', 'too-many'].includes(parseBatch(text, boundary).kind));
      }),
      { numRuns: 2000 },
    );
    for (let length = 0; length < whole.trimEnd().length; length++) {
      assert.equal(parseBatch(whole.slice(0, length), boundary).kind, 'malformed', `cut at ${length}`);
    }
  });

  test('of garbage is refused', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => parseBatch(text, boundary).kind === 'malformed'));
  });

  test('is refused with a part that has a body, a header twice, or no request', () => {
    const whole = write([remove('a')]);
    const cases = [
      whole.replace('Content-Length: 0', 'Content-Length: 4'),
      whole.replace(`\r\n\r\n--${boundary}--`, `\r\n\r\nbody\r\n--${boundary}--`),
      whole.replace('x-ms-date:', 'authorization:'),
      whole.replace('DELETE ', 'delete '),
      whole.replace('HTTP/1.1', 'HTTP/2'),
      whole.replace('application/http', 'text/plain'),
      whole.replace('x-ms-date:', 'x ms date:'),
    ];
    assert.equal(parseBatch(whole, boundary).kind, 'ok');
    // Clients leave the first slash out where the account is in the path.
    const bare = parseBatch(whole.replace(`DELETE /${testAccount}`, `DELETE ${testAccount}`), boundary);
    assert.equal(bare.kind === 'ok' && bare.parts[0]?.url, `/${testAccount}/box/a`);
    for (const text of cases) assert.equal(parseBatch(text, boundary).kind, 'malformed', text);
  });

  test('has parts whose heads are no larger than that of a request', () => {
    const withHeaders = (headers: Request['headers']) =>
      parseBatch(write([{ ...remove('a'), headers }]), boundary).kind;
    const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`x-ms-${i}`, 'x']));
    assert.equal(withHeaders({ 'user-agent': 'x'.repeat(60_000) }), 'ok');
    assert.equal(withHeaders({ 'user-agent': 'x'.repeat(70_000) }), 'malformed');
    assert.equal(withHeaders(many(200)), 'ok');
    assert.equal(withHeaders(many(201)), 'malformed');
    assert.equal(parseBatch(write([remove('a', 'x'.repeat(70_000))]), boundary).kind, 'malformed');
  });

  test('holds at most 256 parts', () => {
    const parts = Array.from({ length: 257 }, (_, i) => remove(`b${i}`));
    assert.equal(parseBatch(write(parts.slice(1)), boundary).kind, 'ok');
    assert.equal(parseBatch(write(parts), boundary).kind, 'too-many');
  });

  test('is found by its boundary, bare or in quotes', () => {
    assert.deepEqual(boundaryOf('multipart/mixed; boundary=batch_1'), { text: 'batch_1' });
    assert.deepEqual(boundaryOf('Multipart/Mixed;Boundary= "a b";charset=utf-8'), { text: 'a b' });
    assert.deepEqual(boundaryOf('multipart/mixed; boundary=a=b'), { text: 'a=b' });
    for (const type of [
      'multipart/mixed',
      'multipart/mixed; boundary=',
      'text/plain; boundary=a',
      `multipart/mixed; boundary=${'a'.repeat(71)}`,
    ]) {
      assert.equal(boundaryOf(type), 'none');
    }
    assert.equal(boundaryOf('multipart/mixed; boundary=a; boundary=b'), 'several');
  });
});

test('the answer has the lines that SDKs look for', () => {
  const error = errorAnswer(new BlobError('BlobNotFound'), 'id', 0);
  const body = `${error.body}`;
  const text = formatBatch(
    [
      { contentId: '0', answer: { status: 202, headers: { 'x-ms-request-id': 'r0', 'x-ms-left-out': undefined } } },
      { contentId: undefined, answer: error },
    ],
    'b',
  );
  assert.equal(
    text,
    '--b\r\nContent-Type: application/http\r\nContent-ID: 0\r\n\r\nHTTP/1.1 202 Accepted\r\nx-ms-request-id: r0\r\n\r\n' +
      '--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 404 The specified blob does not exist.\r\nContent-Type: application/xml\r\n' +
      `x-ms-error-code: BlobNotFound\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}\r\n--b--\r\n`,
  );
});

describe('a batch', () => {
  function run(surface: TestSurface, body: string, request: TestRequest = {}): Promise<Answer> {
    const headers = { 'Content-Type': contentType };
    return batch(serviceCall(surface, { method: 'POST', query: 'comp=batch', headers, body, ...request }));
  }

  test('runs each part once and answers in their order', async () => {
    await using surface = await openTestSurface();
    const ran: string[] = [];
    const runPart = async (part: BatchPart): Promise<Answer> => {
      const number = Number(part.url.split('/b')[2]);
      // The later, the sooner.
      await new Promise((resolve) => setTimeout(resolve, (100 - number) / 10));
      ran.push(part.url);
      return { status: number % 2 === 0 ? 202 : 404, headers: { 'x-ms-number': number } };
    };
    const requests = Array.from({ length: 100 }, (_, i) => remove(`b${i}`, `${i}`));
    const answer = await run(surface, write(requests), { runPart });
    assert.equal(answer.status, 202);
    assert.match(`${answer.headers['Content-Type']}`, /^multipart\/mixed; boundary=batchresponse_[0-9a-f-]{36}$/);
    assert.equal(new Set(ran).size, 100);
    const parts = [
      ...`${answer.body}`.matchAll(/Content-ID: (\d+)\r\n\r\nHTTP\/1\.1 (\d+) .*\r\nx-ms-number: (\d+)\r\n/g),
    ];
    assert.deepEqual(
      parts.map(([, id, status, number]) => [Number(id), Number(status), Number(number)]),
      requests.map((_, i) => [i, i % 2 === 0 ? 202 : 404, i]),
    );
  });

  /** The code of the one part that answers a batch which is none. */
  async function partOf(answer: Promise<Answer>): Promise<string> {
    const { status, body } = await answer;
    assert.equal(status, 202);
    const parts = [...`${body}`.matchAll(/Content-Type: application\/http\r\n\r\nHTTP\/1\.1 400 .+\r\n/g)];
    assert.equal(parts.length, 1, `${body}`);
    assert.match(`${body}`, /\r\nx-ms-request-id: .+\r\nx-ms-version: /);
    return /x-ms-error-code: (\w+)/.exec(`${body}`)?.[1] ?? '';
  }

  test('is answered by one refused part where a part may not be in it, and then nothing runs', async () => {
    await using surface = await openTestSurface();
    const cases: [Request[], string][] = [
      [[remove('a'), tier('b')], 'AllBatchSubRequestsShouldBeSameApi'],
      [[{ ...remove('a'), method: 'PUT' }], 'InvalidInput'],
      [[{ ...remove('a'), method: 'GET' }], 'InvalidInput'],
      [[{ ...remove('a'), url: `/${testAccount}/box?restype=container` }], 'InvalidInput'],
      [[{ ...remove('a'), url: '/another/box/a' }], 'InvalidInput'],
      [[{ ...tier('a'), url: `/${testAccount}/box/a?comp=batch` }], 'InvalidInput'],
      [Array.from({ length: 257 }, (_, i) => remove(`${i}`)), 'ExceedsMaxBatchRequestCount'],
      [[], 'InvalidInput'],
    ];
    for (const [requests, code] of cases) assert.equal(await partOf(run(surface, write(requests))), code);
    for (const [type, code] of [
      ['application/xml', 'InvalidHeaderValue'],
      ['multipart/mixed', 'InvalidHeaderValue'],
      ['multipart/mixed; boundary=', 'InvalidHeaderValue'],
      [`${contentType}; boundary=${boundary}`, 'InvalidInput'],
    ] as const) {
      assert.equal(await partOf(run(surface, write([remove('a')]), { headers: { 'Content-Type': type } })), code);
    }
    assert.equal(await refusal(run(surface, write([remove('a')]), { headers: {} })), 'MissingRequiredHeader');
    assert.equal(
      await refusal(run(surface, `${write([remove('a')])}${' '.repeat(4 * 1024 * 1024)}`)),
      'RequestBodyTooLarge',
    );
  });

  test('that is sent to a container stays in it', async () => {
    await using surface = await openTestSurface();
    const to = (container: string): Promise<Answer> =>
      batch(
        containerCall(surface, container, {
          headers: { 'Content-Type': contentType },
          body: write([remove('a'), { ...remove('b'), url: `http://127.0.0.1:10000/${testAccount}/box/b` }]),
          runPart: async () => ({ status: 202, headers: {} }),
        }),
      );
    assert.equal(`${(await to('box')).body}`.split('HTTP/1.1 202').length, 3);
    assert.equal(await partOf(to('other')), 'InvalidInput');
  });
});
