// Shared Key: no request that differs from the signed one in what a signature covers is taken for it.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { type FuzzRandom, fuzzCases, mutate, pick } from '../base/mutate.testing.ts';
import { parseAccountKey } from './account-key.ts';
import { type SignedRequest, sharedKeyStringToSign, verifySharedKey } from './shared-key.ts';

const keyText = Buffer.alloc(64, 5).toString('base64');
const date = 'Sun, 06 Nov 1994 08:49:37 GMT';
const nowMs = Date.parse(date);
const covered = ['content-length', 'content-type', 'content-md5', 'range', 'if-match', 'x-ms-version', 'x-ms-meta-a'];
const words = ['x-ms-', 'SharedKey ', 'SharedKeyLite ', ':', '\n', 'comp', 'restype'];

export async function fuzz(random: FuzzRandom, deadlineMs: number): Promise<void> {
  const key = parseAccountKey(keyText);
  assert.ok(key !== undefined);
  await fuzzCases(deadlineMs, () => {
    const request: SignedRequest = {
      method: 'PUT',
      rawPath: '/account/box/blob',
      query: new Map([
        ['comp', ['block']],
        ['blockid', ['AAAA']],
      ]),
      headers: { 'x-ms-date': date, 'content-length': '5', 'content-type': 'text/plain', 'x-ms-version': '2022-11-02' },
      account: 'account',
      version: '2022-11-02',
    };
    const changed = changeOf(random, request);
    const authorization = mutate(random, `SharedKey account:${sign(request)}`, words);
    return {
      input: { changed: { ...changed, query: [...changed.query] }, authorization },
      check() {
        verifySharedKey(request, authorization, [key], nowMs, 1000);
        const outcome = verifySharedKey(changed, `SharedKey account:${sign(request)}`, [key], nowMs, 1000);
        const isSame = sharedKeyStringToSign(changed, 'SharedKey') === sharedKeyStringToSign(request, 'SharedKey');
        if (isSame) return;
        // A few writings of the same request are taken; none of them is another request.
        if (outcome.kind === 'ok') assert.deepEqual(plain(changed), plain(request));
      },
    };
  });
}

function sign(request: SignedRequest): string {
  return createHmac('sha256', Buffer.from(keyText, 'base64'))
    .update(sharedKeyStringToSign(request, 'SharedKey'))
    .digest('base64');
}

/** What the request means, however it is written. */
function plain({ method, rawPath, query, headers }: SignedRequest): unknown {
  const values = Object.entries(headers).map(([name, value]) => [name, value?.replace(/\s+/g, ' ').trim()]);
  const path = rawPath.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return { method, path, query: [...query].sort(), headers: values.filter(([, value]) => value).sort() };
}

function changeOf(random: FuzzRandom, request: SignedRequest): SignedRequest {
  switch (random.below(4)) {
    case 0:
      return { ...request, method: pick(random, ['GET', 'DELETE', 'put', 'PUTX']) };
    case 1:
      return { ...request, rawPath: mutate(random, request.rawPath) };
    case 2: {
      const name = pick(random, covered);
      return {
        ...request,
        headers: { ...request.headers, [name]: mutate(random, request.headers[name] ?? 'x', words) },
      };
    }
    default: {
      const query = new Map(request.query);
      query.set(pick(random, ['comp', 'blockid', 'restype', 'timeout']), [mutate(random, 'block', words)]);
      return { ...request, query };
    }
  }
}
