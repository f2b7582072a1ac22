// The development account that every measured server knows, and an account SAS for it.
import { createHmac } from 'node:crypto';

export const account = 'devstoreaccount1';
export const serviceVersion = '2023-11-03';
/** The key that the Azure tools publish for the emulator: not a secret. */
const accountKey = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

/** A query string for a day that allows everything, so that each request carries the same signature and signing costs the client nothing. */
export function accountSas(): string {
  const start = '2020-01-01T00:00:00Z';
  const expiry = `${new Date(Date.now() + 86_400_000).toISOString().slice(0, 19)}Z`;
  const permissions = 'rwdlac';
  const fields = [account, permissions, 'b', 'sco', start, expiry, '', '', serviceVersion, '', ''];
  const signature = createHmac('sha256', Buffer.from(accountKey, 'base64')).update(fields.join('\n')).digest('base64');
  const pairs = [
    ['sv', serviceVersion],
    ['ss', 'b'],
    ['srt', 'sco'],
    ['sp', permissions],
    ['st', start],
    ['se', expiry],
    ['sig', signature],
  ] as const;
  return pairs.map(([key, value]) => `${key}=${encodeURIComponent(value)}`).join('&');
}
