// Addresses: a target or a refusal; a path means one thing, however it is written.
import assert from 'node:assert/strict';
import { type FuzzRandom, fuzzCases, mutate, pick } from '../../base/mutate.testing.ts';
import { BlobError } from './errors.ts';
import { checkBlobName, checkContainerName } from './names.ts';
import { parseQuery, parseTarget } from './request.ts';

const paths = [
  '/account/box/dir/blob',
  '/account/box/a%2Fb',
  '/account/box/../other/blob',
  '/account/box/a%5C..%5Cb',
  '/account',
  '/',
  '/account/%24root/x',
  '/account/box/%e4%bd%a0',
];
const queries = [
  'comp=list&restype=container&prefix=a%2Fb',
  'sv=2022-11-02&sig=AAAA%3D&sp=r',
  'timeout=30&timeout=31',
  'a+b=c+d',
];
const hosts = ['127.0.0.1:10000', 'account.blob.core.windows.net', 'ACCOUNT.BLOB.localhost', 'a.blob.', '', undefined];

export async function fuzz(random: FuzzRandom, deadlineMs: number): Promise<void> {
  await fuzzCases(deadlineMs, () => {
    // A path comes as bytes: half a character cannot.
    const path = mutate(random, pick(random, paths), paths).toWellFormed();
    const query = mutate(random, pick(random, queries), queries).toWellFormed();
    const host = pick(random, hosts);
    return {
      input: { path, query, host },
      check() {
        try {
          const parsed = parseQuery(query);
          for (const [name, values] of parsed) assert.ok(name === name.toLowerCase() && values.length > 0);
          const target = parseTarget(path, host, parsed);
          if (target.container === undefined) assert.equal(target.blob, undefined);
          else checkContainerName(target.container);
          if (target.blob === undefined) return;
          checkBlobName(target.blob);
          assert.ok(!target.blob.includes('\\') && !target.blob.includes('\0'), target.blob);
          // Written anew, it is the same target: nothing was put right on the way.
          const again = `/${target.container}/${encodeURIComponent(target.blob)}`;
          const account = /^[a-z0-9]{3,24}\.blob\./i.test(host ?? '') ? '' : `/${encodeURIComponent(target.account)}`;
          assert.deepEqual(parseTarget(account + again, host, parsed), target);
        } catch (error) {
          if (!(error instanceof BlobError)) throw error;
          assert.ok(error.status >= 400 && error.status < 500, `${error.status}`);
        }
      },
    };
  });
}
