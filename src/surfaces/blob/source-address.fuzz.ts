// Sources of copies: only what is allowed is connected to, and nothing is read in two ways.
import assert from 'node:assert/strict';
import { type FuzzRandom, fuzzCases, mutate, pick } from '../../base/mutate.testing.ts';
import { BlobError } from './errors.ts';
import { parseSource } from './source-address.ts';

const seeds = [
  'http://127.0.0.1:10000/account/box/blob?sig=x',
  'https://other.blob.core.windows.net/box/blob?sv=2022-11-02&sig=x',
  'http://user:secret@other.blob.core.windows.net/box',
  'http://169.254.169.254/metadata',
  'http://[::1]:80/x',
  'https://other.blob.core.windows.net.evil.example/box',
];
const words = [
  '@',
  '#',
  '\\',
  'evil.example',
  '.blob.core.windows.net',
  '127.1',
  '0x7f000001',
  '%2e',
  '\t',
  '[::ffff:7f00:1]',
];
const allowed = ['.blob.core.windows.net'];

export async function fuzz(random: FuzzRandom, deadlineMs: number): Promise<void> {
  await fuzzCases(deadlineMs, () => {
    const input = mutate(random, pick(random, seeds), words);
    return {
      input,
      check() {
        try {
          const source = parseSource(input, '127.0.0.1:10000', allowed);
          if (source.kind === 'local') return;
          const { protocol, hostname, port, path } = source.address;
          assert.ok(hostname.endsWith('.blob.core.windows.net'), hostname);
          assert.match(hostname, /^[a-z0-9._-]+$/);
          assert.match(port, /^\d{0,5}$/);
          assert.ok(path.startsWith('/') && /^[^\0-\x20#]+$/.test(path));
          // What another reader of the same address would connect to.
          assert.equal(new URL(input).hostname, hostname);
          assert.equal(new URL(input).protocol, protocol);
        } catch (error) {
          if (!(error instanceof BlobError)) throw error;
          assert.ok(error.status >= 400 && error.status < 500);
        }
      },
    };
  });
}
