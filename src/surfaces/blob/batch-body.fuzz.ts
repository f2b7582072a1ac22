// Bodies of batches: parts or a reason, and no part with a header that could be another one's.
import assert from 'node:assert/strict';
import { type FuzzRandom, fuzzCases, mutate, pick } from '../../base/mutate.testing.ts';
import { boundaryOf, parseBatch, partsMax } from './batch-body.ts';

const part = (number: number, eol: string): string =>
  [
    '--b',
    'Content-Type: application/http',
    `Content-ID: ${number}`,
    '',
    'DELETE /box/blob HTTP/1.1',
    'x-ms-date: now',
    '',
    '',
  ].join(eol);
const seeds = [
  `${part(0, '\r\n')}${part(1, '\r\n')}--b--\r\n`,
  `${part(0, '\n')}--b--`,
  `${part(0, '\r\n').repeat(260)}--b--\r\n`,
];
const words = [
  '--b',
  '--b--',
  '\r\n',
  'Content-Length: 5',
  'DELETE http://h/a HTTP/1.1',
  'Authorization: x',
  ' HTTP/1.1',
];
const types = ['multipart/mixed; boundary=b', 'multipart/mixed; boundary="b"', 'multipart/mixed', 'text/plain'];

export async function fuzz(random: FuzzRandom, deadlineMs: number): Promise<void> {
  await fuzzCases(deadlineMs, () => {
    const body = mutate(random, pick(random, seeds), words);
    const type = mutate(random, pick(random, types));
    return {
      input: { body, type },
      check() {
        boundaryOf(type);
        const outcome = parseBatch(body, 'b');
        if (outcome.kind !== 'ok') return;
        assert.ok(outcome.parts.length >= 1 && outcome.parts.length <= partsMax);
        for (const { method, url, headers } of outcome.parts) {
          assert.match(method, /^[A-Z]+$/);
          assert.ok(url.startsWith('/'));
          for (const value of Object.values(headers)) assert.doesNotMatch(value, /[\0\r\n]/);
        }
      },
    };
  });
}
