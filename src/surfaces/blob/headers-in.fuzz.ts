// Headers of any kind: a value in its bounds, or a refusal that names the header.
import assert from 'node:assert/strict';
import { type FuzzRandom, fuzzCases, mutate, pick } from '../../base/mutate.testing.ts';
import { BlobError } from './errors.ts';
import { conditions, contentHeaders, crc64, leaseId, md5, metadata, tags, tier } from './headers-in.ts';

const samples: readonly (readonly [name: string, value: string])[] = [
  ['if-match', '"0x8D"'],
  ['if-none-match', 'W/"0x8D"'],
  ['if-modified-since', 'Sun, 06 Nov 1994 08:49:37 GMT'],
  ['x-ms-lease-id', '{0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f}'],
  ['x-ms-meta-name', 'value'],
  ['X-MS-META-Name', 'other'],
  ['x-ms-meta-', ''],
  ['x-ms-meta-__proto__', 'value'],
  ['content-md5', 'AAAAAAAAAAAAAAAAAAAAAA=='],
  ['x-ms-content-crc64', 'AAAAAAAAAAA='],
  ['x-ms-access-tier', 'Cool'],
  ['x-ms-tags', 'a=b&c=d'],
  ['x-ms-blob-content-type', 'text/plain'],
];

export async function fuzz(random: FuzzRandom, deadlineMs: number): Promise<void> {
  await fuzzCases(deadlineMs, () => {
    const headers: Record<string, string> = {};
    const rawHeaders: string[] = [];
    for (let count = random.below(8); count > 0; count--) {
      const [name, value] = pick(random, samples);
      const given = mutate(random, value);
      headers[name.toLowerCase()] = given;
      rawHeaders.push(random.below(4) === 0 ? mutate(random, name) : name, given);
    }
    const readers: readonly (() => void)[] = [
      () => conditions(headers),
      () => {
        const id = leaseId(headers);
        if (id !== undefined) assert.match(id, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
      },
      () => {
        const found = metadata(rawHeaders);
        for (const name of Object.keys(found)) assert.match(name, /^[A-Za-z_][A-Za-z0-9_]*$/);
      },
      () => assert.ok([undefined, 16].includes(md5(headers, 'content-md5')?.length)),
      () => crc64(headers, 'x-ms-content-crc64'),
      () => contentHeaders(headers, true),
      () => tier(headers),
      () => assert.ok(Object.keys(tags(headers) ?? {}).length <= 10),
    ];
    return {
      input: { headers, rawHeaders },
      check() {
        for (const read of readers) {
          try {
            read();
          } catch (error) {
            if (!(error instanceof BlobError)) throw error;
            assert.ok(error.status >= 400 && error.status < 500);
          }
        }
      },
    };
  });
}
