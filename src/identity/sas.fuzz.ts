// Signatures in queries: whatever they say, nothing throws, and nothing that was not signed is granted.
import assert from 'node:assert/strict';
import { type FuzzRandom, fuzzCases, mutate, pick } from '../base/mutate.testing.ts';
import { parseAccountKey } from './account-key.ts';
import { parseSas } from './sas.ts';
import { verifySas } from './verify-sas.ts';

const names = [
  ...[
    'sv',
    'ss',
    'srt',
    'sp',
    'st',
    'se',
    'sip',
    'spr',
    'sr',
    'si',
    'sig',
    'sdd',
    'ses',
    'rscc',
    'rscd',
    'rsce',
    'rscl',
  ],
  ...[
    'rsct',
    'skoid',
    'sktid',
    'skt',
    'ske',
    'sks',
    'skv',
    'saoid',
    'suoid',
    'scid',
    'skdutid',
    'sduoid',
    'srh',
    'srq',
  ],
  ...['snapshot', 'versionid', 'prefix', 'constructor', '__proto__'],
];
const values = [
  ...['2022-11-02', '2026-04-06', '2015-02-21', '9999-99-99', 'b', 'bfqt', 'c', 'd', 'sco', 'rwdlacupxytmeopi'],
  ...['2030-01-01T00:00:00Z', '2000-01-01', '127.0.0.1', '0.0.0.0-255.255.255.255', 'https', 'https,http', '1', '-1'],
  ...[Buffer.alloc(32, 1).toString('base64'), 'AAAA', '00000000-0000-0000-0000-000000000001'],
];

export async function fuzz(random: FuzzRandom, deadlineMs: number): Promise<void> {
  const key = parseAccountKey(Buffer.alloc(64, 5).toString('base64'));
  assert.ok(key !== undefined);
  await fuzzCases(deadlineMs, () => {
    const query = new Map<string, readonly string[]>([['sig', [pick(random, values)]]]);
    for (let count = random.below(14); count > 0; count--) {
      const value = mutate(random, pick(random, values), values);
      query.set(pick(random, names), random.below(20) === 0 ? [value, value] : [value]);
    }
    return {
      input: [...query],
      check() {
        const sas = parseSas(query);
        if (sas.kind === 'none' || sas.kind === 'malformed') return;
        const target = { account: 'account', container: 'box', blob: 'dir/blob' };
        const circumstances = { nowMs: 1_700_000_000_000, clientIp: '127.0.0.1', protocol: 'https' } as const;
        const outcome = verifySas(sas, target, [key], [], circumstances as Parameters<typeof verifySas>[4]);
        assert.notEqual(outcome.kind, 'ok');
      },
    };
  });
}
